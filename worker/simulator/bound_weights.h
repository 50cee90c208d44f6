// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/result.h"
#include "worker/artifact/params.h"
#include "worker/simulator/unpack.h"
#include "worker/simulator/weight_reader.h"

namespace tyllm::simulator {

/// The parameters of one program on one die as they lie in its files, found through the table of
/// bindings. Immutable; the files outlive it.
class BoundWeights final : public WeightReader {
 public:
  /// Checks that every parameter of `schedule` is bound to the tensor of its name, which has its
  /// size and lies aligned in the file; that matrices of 12 bits stay inside their row blocks; and
  /// that the constants are those of the die's part of the vocabulary. kDataLoss names the file and
  /// the parameter: programs trust them.
  static Result<BoundWeights> Bind(const plan::Schedule& schedule,
                                   const artifact::ParamsFile& common,
                                   const artifact::ParamsFile& constant,
                                   std::span<const std::uint64_t> bindings);

  void Prepare(plan::WeightId /*id*/, std::int64_t /*layer*/) const override {}

  std::span<const float> Vector(plan::WeightId id, std::int64_t layer) const override;
  void ReadRowBlock(plan::WeightId id, std::int64_t layer, std::int64_t block,
                    std::vector<float>& out) const override;
  /// The integers of a row block of a quantized matrix.
  Linear4Codes ReadCodes(plan::WeightId id, std::int64_t layer, std::int64_t block) const;
  const plan::Weight& WeightOf(plan::WeightId id, std::int64_t layer) const;
  /// All of a weight where it lies in its file.
  std::span<const std::byte> Packed(plan::WeightId id, std::int64_t layer) const;

 private:
  BoundWeights(const plan::Schedule& schedule, std::span<const std::byte> common,
               std::span<const std::byte> constant, std::span<const std::uint64_t> bindings)
      : schedule_(&schedule), common_(common), constant_(constant), bindings_(bindings) {}

  std::span<const std::byte> RowBlock(plan::WeightId id, std::int64_t layer,
                                      std::int64_t block) const;
  /// `bytes` from where the weight starts.
  std::span<const std::byte> BytesOf(plan::WeightId id, std::int64_t layer,
                                     std::uint64_t bytes) const;

  const plan::Schedule* schedule_;
  std::span<const std::byte> common_;
  std::span<const std::byte> constant_;
  std::span<const std::uint64_t> bindings_;
};

}  // namespace tyllm::simulator
