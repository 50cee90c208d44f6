// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/tensor/backend.h"

namespace tyllm::forward {

/// What a batch of sequences has besides token ids where images or videos stand in them. Rows are
/// those of the batch. All of it is in the host's memory.
struct VisualInput {
  /// Cosines, then sines, of each token's angles [tokens of the batch, head_size]: positions are in
  /// time, height and width.
  tensor::Matrix rotations;
  std::vector<std::int64_t> rows;  ///< tokens that stand for parts of images, ascending
  tensor::Matrix tokens;           ///< their embeddings [rows, width]
  /// What is added to them after layer 0, 1, ... [rows, width].
  std::vector<tensor::Matrix> deepstack;
  /// Position of the token that follows the (only) sequence.
  std::int32_t next_position = 0;

  /// After the embedding: `hidden`, which is where `backend` computes, gets the images' embeddings.
  void Place(tensor::Backend& backend, tensor::Matrix& hidden) const;
  /// After decoder layer `layer`.
  void AddAfterLayer(std::int64_t layer, tensor::Backend& backend, tensor::Matrix& hidden) const;
};

/// Rotations of `count` tokens of text whose first has position `position`, as VisualInput has
/// them; `frequencies` are the language model's.
tensor::Matrix TextRotations(std::span<const float> frequencies, std::int32_t position,
                             std::int64_t count);

}  // namespace tyllm::forward
