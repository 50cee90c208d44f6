// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/forward/tower.h"
#include "worker/vision/medium.h"

namespace tyllm::model {
class Tokenizer;
}

namespace tyllm::forward {

/// A sequence before the tower: its media, and tokens with a placeholder for each run of theirs.
struct VisualPrompt {
  std::vector<std::int32_t> ids;
  std::vector<vision::LoadedMedium> media;

  std::int64_t patches() const;
};

/// A sequence with the images in it, ready for the language model.
struct VisualSequence {
  std::vector<std::int32_t> ids;  ///< placeholders repeated
  std::shared_ptr<const VisualInput> visual;
};

/// Turns prompts about images and videos into what a model computes with. `model` outlives it.
class VisualPrompter {
 public:
  /// kFailedPrecondition for a model that does not see.
  static Result<VisualPrompter> Open(const Model& model);

  const graph::Tower& tower() const { return tower_; }

  /// Reads media as the model's processors say.
  Result<std::vector<vision::LoadedMedium>> Load(std::span<const vision::Medium> media) const;

  /// `message` with the media's placeholders before it.
  Result<std::string> Write(const model::Tokenizer& tokenizer, const std::string& message,
                            std::span<const vision::LoadedMedium> media) const;

  /// Runs the tower over the media of all prompts, whose ids have placeholders, once or repeated.
  /// Memory: all their patches at once, so give few thousand at a time.
  Result<std::vector<VisualSequence>> Read(std::vector<VisualPrompt> prompts,
                                           tensor::Backend& backend) const;
  /// Of one.
  Result<VisualSequence> Read(VisualPrompt prompt, tensor::Backend& backend) const;

 private:
  VisualPrompter(const Model& model, graph::Tower tower)
      : model_(&model), tower_(std::move(tower)) {}

  const Model* model_;
  graph::Tower tower_;
};

}  // namespace tyllm::forward
