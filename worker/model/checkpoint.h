// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/format/safetensors.h"
#include "worker/model/checkpoint_format.h"
#include "worker/model/model_shape.h"
#include "worker/model/quantized_matrix.h"

namespace tyllm::model {

class QuantizedLinear;

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
  /// Names of the tensors that hold a linear layer, the weight first, without its bias.
  std::vector<std::string> TensorsOf(std::string_view linear) const;
  /// Has and Find know a tensor by the name in its file; the bias of a linear layer also by
  /// "<linear>.bias" wherever its storage keeps it.
  bool Has(std::string_view tensor) const;
  Result<format::TensorView> Find(std::string_view tensor) const;
  /// Names of all tensors as the files spell them, sorted.
  std::vector<std::string> TensorNames() const;
  /// Tensors of the visual tower, sorted: the language model does not use them, and every
  /// conversion passes them on as they are.
  const std::vector<std::string>& visual_tensors() const;
  /// Tensors in the files that no part of the model uses, sorted. Harmless; worth a line in a log.
  const std::vector<std::string>& unused_tensors() const;
  /// A float tensor as float32.
  Result<std::vector<float>> ReadFloats(std::string_view tensor) const;
  /// Kept in float: an error. See IsQuantized.
  Result<QuantizedLinear> OpenQuantized(std::string_view linear) const;
  Result<QuantizedMatrix> ReadQuantized(std::string_view linear) const;
  /// Weights [out, in] of a linear layer in float32, dequantized where they are quantized. A tied
  /// head ("lm_head") is the embedding table.
  Result<std::vector<float>> ReadLinear(std::string_view linear) const;
  /// Gives back the memory of mapped pages of a finished block: every tensor whose name starts with
  /// `prefix`.
  void Forget(std::string_view prefix) const;
  /// Files of the directory that hold no weights (config, tokenizer, templates, ...): they travel
  /// with the model. Relative names, sorted; as they were when the checkpoint was opened.
  const std::vector<Path>& PassengerFiles() const;

 private:
  struct State;
  explicit Checkpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tyllm::model
