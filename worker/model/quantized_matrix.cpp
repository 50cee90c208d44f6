// SPDX-License-Identifier: Apache-2.0
#include "worker/model/quantized_matrix.h"

#include "common/format/float16.h"

namespace tyllm::model {

std::vector<float> QuantizedMatrix::Dequantize() const {
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  const std::uint8_t* in = q.data();
  float* out = values.data();
  for (std::size_t g = 0; g < scale.size(); ++g, in += group, out += group) {
    // (q - zero) has 5 bits and a binary16 number 11: the product is exact.
    const float s = format::HalfToFloat(scale[g]);
    const int z = zero[g];
    for (std::int64_t i = 0; i < group; ++i) {
      out[i] = static_cast<float>(static_cast<int>(in[i]) - z) * s;
    }
  }
  return values;
}

}  // namespace tyllm::model
