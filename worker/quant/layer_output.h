// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/format/safetensors.h"
#include "worker/model/checkpoint_format.h"
#include "worker/quant/layer_quantizer.h"

namespace tyllm::quant {

/// A quantized decoder layer as the bytes of its tensors.
struct LayerOutput {
  struct Tensor {
    std::string name;
    std::vector<std::byte> bytes;
  };

  std::vector<Tensor> tensors;
  /// CodeSum of each quantized linear, by module: what it must read back as.
  std::map<std::string, std::string> codes;
};

/// Linears in the layout of `format`; all else in fp16. A number that fp16 cannot hold, or that is
/// none, is an error that names the tensor. The bytes of linears are taken out of `layer`.
Result<LayerOutput> PackLayer(const graph::Block& block, QuantizedLayer& layer,
                              model::CheckpointFormat format, tensor::TaskLanes& lanes);

/// The layer that these tensors of PackLayer's are; without reports. kDataLoss when one is missing.
Result<QuantizedLayer> ReadLayer(const graph::Block& block, const format::SafetensorsFile& file,
                                 model::CheckpointFormat format, std::int64_t group);

/// The weights that a layer will have when it is read from its file, in the memory of `machine`.
forward::BlockWeights WrittenWeights(const QuantizedLayer& layer, const LayerMachine& machine);

}  // namespace tyllm::quant
