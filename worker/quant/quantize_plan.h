// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/base/file_system.h"
#include "common/domain/task_options.h"
#include "common/format/safetensors.h"
#include "worker/forward/model.h"
#include "worker/model/checkpoint_format.h"
#include "worker/quant/part_files.h"
#include "worker/quant/written_format.h"

namespace tyllm::quant {

/// What will be done to a model, decided and checked before any work.
struct QuantizePlan {
  model::CheckpointFormat format = model::CheckpointFormat::kAmtc;
  /// Linear layers inside decoder layers: module names.
  std::set<std::string, std::less<>> quantized;
  std::vector<std::string> kept;
  /// All tensors of the output, in the order in which they are used: the embedding, each decoder
  /// layer, and all else.
  std::vector<OutputPart> parts;
  /// Tensors of the visual tower, and those that no part of the model uses: copied as they are.
  std::vector<std::string> copied;
  std::int64_t source_bytes = 0;      ///< of all tensors of the source
  std::int64_t kept_float_bytes = 0;  ///< what `kept` adds to the output
  std::vector<std::string> warnings;
};

/// Errors: a model that is quantized already, an expression that is none, a linear layer that the
/// group size does not divide (named), nothing left to quantize.
Result<QuantizePlan> PlanQuantization(const forward::Model& model,
                                      const domain::QuantizeOptions& options);

}  // namespace tyllm::quant
