// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::forward {

/// `eos_token_id` (a number, a list or null) of a model directory's generation_config.json, or of
/// its config.json where the first is missing or does not say. Empty when neither does.
Result<std::vector<std::int32_t>> ReadStopTokens(const Path& directory, FileSystem& files);

}  // namespace tyllm::forward
