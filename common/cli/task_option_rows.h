// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/cli/command.h"
#include "common/domain/task_options.h"

/// The command-line options of each kind of task, the same for `tyllm <verb>` and `tyllm-client
/// submit <verb>`. `options` outlives the spec.
namespace tyllm::cli {

void AddOptions(CommandSpec& spec, domain::QuantizeOptions& options);
void AddOptions(CommandSpec& spec, domain::ConvertOptions& options);
void AddOptions(CommandSpec& spec, domain::ChatOptions& options);
/// Those of `ChatOptions` too.
void AddOptions(CommandSpec& spec, domain::EvaluateOptions& options);
void AddOptions(CommandSpec& spec, domain::CompileOptions& options);

/// Options that name images and videos which prompts are about: files on this machine.
struct MediaNames {
  std::string_view image = "--image";
  std::string_view video = "--video";
};

/// `names` are of static storage.
void AddMedia(CommandSpec& spec, const MediaNames& names, std::vector<std::string>& images,
              std::vector<std::string>& videos);
/// The row of --video-fps.
Option VideoRate(std::optional<double>& frames_per_second);

}  // namespace tyllm::cli
