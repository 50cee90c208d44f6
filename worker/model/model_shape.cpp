// SPDX-License-Identifier: Apache-2.0
#include "worker/model/model_shape.h"

#include <algorithm>

#include "common/base/portable_math.h"

namespace tyllm::model {

std::int64_t ModelShape::parameters() const {
  const std::int64_t qkv = q_columns() + 2 * kv_columns();
  const std::int64_t attention =
      width * (qkv + q_columns()) + (qkv_bias ? qkv : 0) + (qk_norm ? 2 * head_size : 0);
  const std::int64_t mlp = 3 * width * intermediate;
  const std::int64_t norms = 2 * width;
  const std::int64_t tables = vocabulary * width * (tied_head ? 1 : 2);
  return layers * (attention + mlp + norms) + tables + width;
}

void ChooseNames(ModelShape& shape, const std::function<bool(const DecoderNames&)>& fits) {
  const auto found = std::ranges::find_if(shape.possible_names, fits);
  if (found != shape.possible_names.end()) {
    shape.names = *found;
  }
}

std::vector<float> RopeFrequencies(const ModelShape& shape) {
  // transformers: 1.0 / (base ** (torch.arange(0, dim, 2).float() / dim)), all in float32.
  std::vector<float> frequencies;
  const auto theta = static_cast<float>(shape.rope_theta);
  for (std::int64_t i = 0; i < shape.head_size; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(shape.head_size);
    const float frequency = 1.0F / PortablePow(theta, exponent);
    frequencies.push_back(shape.rope_scaling ? shape.rope_scaling->Scaled(frequency) : frequency);
  }
  return frequencies;
}

}  // namespace tyllm::model
