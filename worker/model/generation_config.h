// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/base/file_system.h"
#include "worker/model/tokenizer.h"

namespace tyllm::model {

/// The tokens that end a generated text: `eos_token_id` of `directory`/generation_config.json, a
/// number or a list, or where that does not say, of config.json (or its text_config). Without
/// repetition, in the file's order; empty when neither file says.
Result<std::vector<TokenId>> StopTokens(const Path& directory);

}  // namespace tyllm::model
