// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "common/domain/job.h"

namespace tyllm::domain {

/// Folder name of a job's output: "<name>-AMTC-AWQ" for what quantize writes, "<name>-AWQ" for what
/// convert and a pipeline write, "<name>-AOT_<prefill>_<max_kv>" for an artifact (what the board's
/// SDK expects around its
/// "<N>die" folder), the output's own name otherwise.
std::string OutputFolderName(const JobSpec& spec, std::string_view output);

}  // namespace tyllm::domain
