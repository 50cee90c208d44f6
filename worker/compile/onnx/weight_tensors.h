// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "worker/onnx/data_file.h"
#include "worker/simulator/bound_weights.h"

namespace tyllm::compile {

/// A die's parameters as ONNX tensors, each written once. Quantized matrices stay 4 bits:
/// `<name>.q` uint8 [out, groups, group / 2] (even columns in the low half), `<name>.zero` uint8
/// and `<name>.scale` float16 [out, groups, 1]. A head of `--head int8` is float16, rounded.
class WeightTensors {
 public:
  WeightTensors(const plan::Schedule& schedule, const simulator::BoundWeights& weights,
                onnx::DataFile& data)
      : schedule_(schedule), weights_(weights), data_(data) {}

  /// Adds the tensors of a weight unless they are there, and gives its name.
  Result<std::string> Add(plan::WeightId id, std::int64_t layer);

  const plan::Weight& WeightOf(plan::WeightId id, std::int64_t layer) const {
    return weights_.WeightOf(id, layer);
  }

  std::vector<onnx::Tensor> Take() { return std::move(tensors_); }

 private:
  Status AddVector(const std::string& name, plan::WeightId id, std::int64_t layer);
  Status AddHalf(const std::string& name, plan::WeightId id, std::int64_t layer);
  Status AddInt4(const std::string& name, plan::WeightId id, std::int64_t layer);

  const plan::Schedule& schedule_;
  const simulator::BoundWeights& weights_;
  onnx::DataFile& data_;
  std::vector<onnx::Tensor> tensors_;
  std::map<std::string, bool> added_;
};

}  // namespace tyllm::compile
