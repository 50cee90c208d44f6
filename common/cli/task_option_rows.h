// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/cli/command.h"
#include "common/domain/task_options.h"

/// The command-line options of each kind of task, the same for `tyllm <verb>` and `tyllm-client
/// submit <verb>`. `options` outlives the spec.
namespace tyllm::cli {

void AddOptions(CommandSpec& spec, domain::QuantizeOptions& options);
void AddOptions(CommandSpec& spec, domain::ConvertOptions& options);
void AddOptions(CommandSpec& spec, domain::EvaluateOptions& options);
void AddOptions(CommandSpec& spec, domain::CompileOptions& options);

}  // namespace tyllm::cli
