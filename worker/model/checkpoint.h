// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/enum_table.h"
#include "common/format/safetensors.h"
#include "worker/model/model_shape.h"
#include "worker/model/quantized_matrix.h"

namespace tyllm::model {

/// How the linear layers of a model directory are stored (docs/formats/checkpoints.md).
enum class CheckpointFormat : std::uint8_t {
  kFloat,    ///< F16, BF16 or F32 weights
  kAmtc,     ///< quantizer's own: <linear>.quanted_layer.{quanted_weight, weight_scale, zero, bias}
  kAwqGemm,  ///< <linear>.{qweight, qzeros, scales}, AutoAWQ's GEMM layout, what vLLM loads
};

inline constexpr EnumTable<CheckpointFormat, 3> kCheckpointFormatNames(
    "checkpoint format", {{{CheckpointFormat::kFloat, "float"},
                           {CheckpointFormat::kAmtc, "amtc"},
                           {CheckpointFormat::kAwqGemm, "awq"}}});

constexpr const auto& NamesOf(CheckpointFormat) {
  return kCheckpointFormatNames;
}

/// A model directory of the hub's form, opened for reading: config.json, one or more safetensors
/// files (mapped, never wholly in memory). Immutable and usable from any thread. Open checks that
/// every tensor that the family needs is there with the right shape; errors name file, tensor,
/// found and expected.
class Checkpoint {
 public:
  static Result<Checkpoint> Open(const Path& directory);
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const Path& directory() const;
  const ModelShape& shape() const;
  /// config.json as it stands in the file.
  const format::Json& config() const;
  CheckpointFormat format() const;
  /// 0 when nothing is quantized.
  std::int64_t group_size() const;

  /// `linear` is a module name such as "model.layers.0.self_attn.q_proj".
  bool IsQuantized(std::string_view linear) const;
  bool Has(std::string_view tensor) const;
  Result<format::TensorView> Find(std::string_view tensor) const;
  /// Names of all tensors, sorted.
  std::vector<std::string> TensorNames() const;
  /// A float tensor as float32.
  Result<std::vector<float>> ReadFloats(std::string_view tensor) const;
  /// Kept in float: an error. See IsQuantized.
  Result<QuantizedMatrix> ReadQuantized(std::string_view linear) const;
  /// Weights [out, in] of a linear layer in float32, dequantized where they are quantized.
  Result<std::vector<float>> ReadLinear(std::string_view linear) const;
  /// Gives back the memory of mapped pages of a finished block: every tensor whose name starts with
  /// `prefix`.
  void Forget(std::string_view prefix) const;
  /// Files of the directory that hold no weights (config, tokenizer, templates, ...): they travel
  /// with the model. Relative names, sorted.
  std::vector<Path> PassengerFiles() const;

 private:
  struct State;
  explicit Checkpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tyllm::model
