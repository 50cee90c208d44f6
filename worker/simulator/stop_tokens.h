// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::simulator {

/// `eos_token_id` of `directory`/generation_config.json, a number or a list, or of config.json
/// where that file does not say; empty when neither does.
Result<std::vector<std::int32_t>> StopTokens(const Path& directory);

}  // namespace tyllm::simulator
