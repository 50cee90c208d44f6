// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/file_system.h"
#include "worker/forward/block_runner.h"
#include "worker/model/tokenizer.h"

namespace tyllm::quant {

/// The first samples * seq_len tokens of a text file, as that many windows. The whole file is one
/// text: documents follow one another without separators or special tokens, as in AutoAWQ; unlike
/// there, none is left out. A text too short is kInvalidArgument with both numbers of tokens.
Result<std::vector<std::int32_t>> ReadCalibrationTokens(const model::Tokenizer& tokenizer,
                                                        const Path& text, std::int64_t samples,
                                                        std::int64_t seq_len);

/// The windows in batches of about `tokens_at_once` tokens, which are run at once. That number is a
/// backend's, whatever the machine, so that results do not depend on it.
std::vector<forward::TokenBatch> CutIntoBatches(std::span<const std::int32_t> tokens,
                                                std::int64_t seq_len,
                                                std::int64_t tokens_at_once = 4096);

}  // namespace tyllm::quant
