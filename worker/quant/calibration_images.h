// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "common/domain/progress.h"
#include "common/format/image_pairs.h"
#include "worker/forward/visual_prompt.h"
#include "worker/quant/quantization_report.h"

namespace tyllm::quant {

/// Image-text pairs as sequences for the language model.
struct ImageCalibration {
  std::vector<forward::TokenBatch> batches;  ///< one sequence each
  std::int64_t text_tokens = 0;
  std::int64_t image_tokens = 0;
  std::int64_t images = 0;
  /// Samples whose images alone are longer than a sequence may be.
  std::int64_t left_out = 0;
};

/// Reads images, writes conversations in the model's chat format, and runs the visual tower over
/// some images at a time (about 32768 patches). A sequence is cut after `seq_len` tokens, never
/// inside its images: such samples are left out. Too few that are left are kInvalidArgument.
/// `after_sample(done)` may be empty.
Result<ImageCalibration> PrepareImagePairs(const forward::Model& model, tensor::Backend& backend,
                                           const std::vector<format::ImagePair>& pairs,
                                           std::int64_t seq_len,
                                           const std::function<void(std::int64_t)>& after_sample);

/// The same from a file, as many pairs as `options` say; what was read goes into `report`. Tells
/// the stage "images" in samples.
Result<std::vector<forward::TokenBatch>> ReadImageCalibration(
    const forward::Model& model, tensor::Backend& backend, const Path& file,
    const domain::QuantizeOptions& options, domain::ProgressSink& progress,
    QuantizationReport& report);

}  // namespace tyllm::quant
