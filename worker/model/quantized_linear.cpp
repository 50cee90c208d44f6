// SPDX-License-Identifier: Apache-2.0
#include "worker/model/quantized_linear.h"

#include <utility>

namespace tyllm::model {

Result<QuantizedLinear> QuantizedLinear::Open(const LinearFormat& format, const LinearSize& size,
                                              const LinearTraits& traits,
                                              const LinearTensors& tensors) {
  QuantizedLinear linear;
  linear.format_ = &format;
  linear.size_ = size;
  linear.tensors_ = tensors;
  TYLLM_ASSIGN(linear.grids_, format.grids(size, traits, tensors));
  return linear;
}

void QuantizedLinear::ReadCodes(const CodeRegion& region, std::span<std::uint8_t> q) const {
  TYLLM_CHECK(std::ssize(q) == region.rows * region.columns);
  format_->codes(size_, tensors_, region, q.data());
}

QuantizedMatrix QuantizedLinear::ReadAll() && {
  QuantizedMatrix matrix = std::move(grids_);
  matrix.q.resize(static_cast<std::size_t>(size_.out * size_.in));
  ReadCodes({0, size_.out, 0, size_.in}, matrix.q);
  return matrix;
}

}  // namespace tyllm::model
