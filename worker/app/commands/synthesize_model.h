// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/file_system.h"
#include "common/cli/command.h"
#include "common/domain/task_options.h"
#include "worker/app/invocation.h"

namespace tyllm::app {

/// What `tyllm inspect --synthesize` takes.
struct SynthesizeArguments {
  std::optional<std::string> shape;
  std::optional<Path> out;
  std::optional<std::int64_t> layers;
  std::optional<domain::QuantizedFormat> quantized;

  /// The target of --quantized; nothing stays nothing. The arguments outlive it.
  cli::Choice QuantizedChoice();
};

/// kInvalidArgument for options that do not belong together.
Status Check(const SynthesizeArguments& arguments);

/// Arguments with a shape that Check has let pass.
cli::ExitCode SynthesizeModel(const SynthesizeArguments& arguments, bool json,
                              Invocation& invocation);

}  // namespace tyllm::app
