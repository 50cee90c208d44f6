// SPDX-License-Identifier: Apache-2.0
#include "worker/model/decoder_names.h"

namespace tyllm::model {

std::string DecoderNames::Layer(std::int64_t layer) const {
  return std::string(layers) + "." + std::to_string(layer);
}

std::string DecoderNames::InLayer(std::int64_t layer, std::string_view module) const {
  return Layer(layer) + "." + std::string(module);
}

bool DecoderNames::IsVisual(std::string_view tensor) const {
  return !visual.empty() && tensor.size() > visual.size() && tensor.starts_with(visual) &&
         tensor[visual.size()] == '.';
}

}  // namespace tyllm::model
