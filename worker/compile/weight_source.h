// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/raw_vector.h"
#include "worker/compile/half_rows.h"
#include "worker/model/checkpoint.h"
#include "worker/model/quantized_linear.h"
#include "worker/plan/schedule.h"

namespace tyllm::compile {

/// A tensor of the model, opened for packing: dies get parts of it. Usable from any thread; the
/// checkpoint outlives it.
class WeightSource {
 public:
  static Result<WeightSource> Open(const model::Checkpoint& checkpoint, const std::string& name,
                                   plan::WeightKind kind);

  /// Part of a vector.
  std::span<const std::byte> Vector(const plan::Range& columns) const;

  /// Row blocks [first, first + count) of a die's weight, as its kernels read them. `out` has
  /// plan::RowBlockBytes for each.
  Status PackBlocks(const plan::Weight& weight, std::int64_t first, std::int64_t count,
                    std::span<std::byte> out) const;

 private:
  void PackInt4(const plan::Weight& weight, std::int64_t first, std::int64_t count,
                std::span<std::byte> out) const;
  /// `halves` is room for the block's numbers.
  Status PackFloat(const plan::Weight& weight, std::int64_t block, RawVector<std::uint16_t>& halves,
                   std::span<std::byte> out) const;

  std::vector<float> vector_;
  std::optional<model::QuantizedLinear> quantized_;
  std::optional<HalfRows> halves_;
};

}  // namespace tyllm::compile
