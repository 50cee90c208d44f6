// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "worker/model/linear_format.h"
#include "worker/model/quantized_matrix.h"

namespace tyllm::model {

/// A 4-bit linear layer in a file, read whole or in parts. The mapped tensors outlive it. Immutable
/// and usable from any thread.
class QuantizedLinear {
 public:
  /// Reads zero points and scales. kInvalidArgument when a number cannot be used.
  static Result<QuantizedLinear> Open(const LinearFormat& format, const LinearSize& size,
                                      const LinearTraits& traits, const LinearTensors& tensors);

  /// Everything but the codes: `q` is empty.
  const QuantizedMatrix& grids() const { return grids_; }

  /// Codes [region.rows, region.columns] of a part.
  void ReadCodes(const CodeRegion& region, std::span<std::uint8_t> q) const;
  /// All of it. What is left has no grids.
  QuantizedMatrix ReadAll() &&;

 private:
  const LinearFormat* format_ = nullptr;
  LinearSize size_;
  LinearTensors tensors_{};
  QuantizedMatrix grids_;
};

}  // namespace tyllm::model
