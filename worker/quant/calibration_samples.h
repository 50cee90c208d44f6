// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/file_system.h"
#include "common/domain/task_options.h"
#include "worker/forward/block_runner.h"
#include "worker/model/tokenizer.h"
#include "worker/quant/quantization_report.h"

namespace tyllm::quant {

/// What the model is run on, and what is said of it.
struct CalibrationSamples {
  std::vector<forward::TokenBatch> batches;
  CalibrationReport report;
};

/// Reads as many documents of `text` (calibration_documents.h) as are needed, in their order or in
/// that of a seed:
/// - joined: one stream without separators or special tokens, as in AutoAWQ, but no document is
///   left out for its length; a sample is the next seq_len tokens. Isolated, attention begins anew
///   at each document;
/// - one by one: each document is cut into pieces of up to seq_len tokens, which do not see each
///   other. Padded, a piece is a sample, and what is missing at its end is not computed: nothing
///   before it would see it. Otherwise pieces fill the samples up, so that there are as many tokens
///   as when joined.
/// Too little text is kInvalidArgument with how much there is and how much is needed.
Result<CalibrationSamples> ReadCalibration(const Path& model, const model::Tokenizer& tokenizer,
                                           const Path& text, const domain::QuantizeOptions& options,
                                           std::int64_t tokens_at_once = 4096);

/// Sequences in batches of about `tokens_at_once` tokens, which are run at once. That number is a
/// backend's, whatever the machine, so that results do not depend on it. `ids` are those of all
/// sequences, one after another.
std::vector<forward::TokenBatch> CutIntoBatches(std::span<const std::int32_t> ids,
                                                std::span<const std::int64_t> lengths,
                                                std::int64_t tokens_at_once = 4096);

}  // namespace tyllm::quant
