// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "worker/model/checkpoint.h"
#include "worker/simulator/weight_reader.h"

namespace tyllm::simulator {

/// The weights of a schedule for one die as they stand in the model's own files: no packing and no
/// cutting lies between. One matrix is in memory at a time. The schedule and the checkpoint outlive
/// it.
class CheckpointWeights final : public WeightReader {
 public:
  CheckpointWeights(const model::Checkpoint& checkpoint, const plan::Schedule& schedule)
      : checkpoint_(checkpoint), schedule_(schedule) {}

  void Prepare(plan::WeightId id, std::int64_t layer) const override;
  std::span<const float> Vector(plan::WeightId id, std::int64_t layer) const override;
  void ReadRowBlock(plan::WeightId id, std::int64_t layer, std::int64_t block,
                    std::vector<float>& out) const override;

  /// The first thing that could not be read; numbers read since then are zeros.
  const Status& status() const { return status_; }

 private:
  /// What is being read: a quantized matrix, or rows of a float one.
  struct Current {
    std::string name;
    model::QuantizedMatrix quantized;
    format::TensorView floats;
  };

  const plan::Weight& WeightOf(plan::WeightId id, std::int64_t layer) const;
  Status Load(const std::string& name, const plan::Weight& weight) const;

  const model::Checkpoint& checkpoint_;
  const plan::Schedule& schedule_;
  mutable Status status_;
  mutable Current current_;
  mutable std::map<std::pair<plan::WeightId, std::int64_t>, std::vector<float>> vectors_;
};

}  // namespace tyllm::simulator
