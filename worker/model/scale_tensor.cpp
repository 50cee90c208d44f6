// SPDX-License-Identifier: Apache-2.0
#include "worker/model/scale_tensor.h"

#include <cmath>
#include <cstring>
#include <string>

#include "common/format/float16.h"

namespace tyllm::model {

namespace {

constexpr float kLargestHalf = 65504.0F;

}  // namespace

Result<std::vector<std::uint16_t>> ReadScales(const format::TensorView& tensor) {
  std::vector<std::uint16_t> halves(static_cast<std::size_t>(tensor.elements()));
  if (tensor.dtype == format::DType::kF16) {
    std::memcpy(halves.data(), tensor.bytes.data(), tensor.bytes.size());
    return halves;
  }
  TYLLM_ASSIGN(const std::vector<float> floats, format::ToFloats("scales", tensor));
  for (std::size_t i = 0; i < floats.size(); ++i) {
    if (!(std::fabs(floats[i]) <= kLargestHalf)) {  // NaN too
      return InvalidArgument("scale number " + std::to_string(i) + " is " +
                             std::to_string(floats[i]) +
                             ", expected a number up to 65504, the largest of fp16; the model "
                             "cannot be computed in fp16");
    }
    halves[i] = format::FloatToHalf(floats[i]);
  }
  return halves;
}

}  // namespace tyllm::model
