// SPDX-License-Identifier: Apache-2.0
#include "worker/model/quantized_matrix.h"

#include "common/format/float16.h"

namespace tyllm::model {

namespace {

/// (q - zero) has 5 bits and a binary16 number 11: the products are exact. Without the promise that
/// `in` and `out` are apart compilers do not vectorise this.
void DequantizeGroup(const std::uint8_t* __restrict in, std::int64_t count, int zero, float scale,
                     float* __restrict out) {
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(static_cast<int>(in[i]) - zero) * scale;
  }
}

}  // namespace

std::vector<float> QuantizedMatrix::Dequantize() const {
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  for (std::size_t g = 0; g < scale.size(); ++g) {
    const std::size_t at = g * static_cast<std::size_t>(group);
    DequantizeGroup(q.data() + at, group, zero[g], format::HalfToFloat(scale[g]),
                    values.data() + at);
  }
  return values;
}

}  // namespace tyllm::model
