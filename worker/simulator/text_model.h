// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "worker/simulator/generate.h"

namespace tyllm::simulator {

struct TextModelOptions {
  Path directory;                    ///< a compiled model, or a model directory
  std::vector<std::int64_t> chunks;  ///< buckets of a compiled model to use; empty: all
  Engine engine = Engine::kCompiled;
  std::int64_t threads = 0;  ///< 0: as many as there are dies or cores
  /// A compiled model refuses images that its processor would bring to another size than its own.
  bool exact_images = false;
};

/// What a text model made of a prompt.
struct Continuation {
  Generated generated;
  std::vector<std::int64_t> chunks;  ///< tokens of each call for the prompt
};

/// A model that is loaded and continues token sequences: a compiled one on the die simulator, or a
/// model directory in float32. Not thread-safe.
class TextModel {
 public:
  /// --chunks with a model directory is kInvalidArgument.
  static Result<std::unique_ptr<TextModel>> Open(const TextModelOptions& options);
  virtual ~TextModel() = default;

  /// "4 dies, compiled", "float32".
  virtual std::string name() const = 0;
  /// Where tokenizer.json and generation_config.json are.
  virtual Path directory() const = 0;
  /// What the model sees with; nullptr for one of text.
  virtual const model::VisionShape* vision() const = 0;
  /// Reads an image or video as the model takes it. A compiled model takes one size, and either
  /// images or videos: kInvalidArgument tells which.
  virtual Result<vision::LoadedMedium> Load(const vision::Medium& medium) const = 0;
  /// A prompt with media has all tokens that stand for them. A compiled model does not read again
  /// what the prompt has in common with the text before.
  virtual Result<Continuation> Continue(const GenerateRequest& request, const Clock& clock,
                                        const OnToken& on_token) = 0;
};

}  // namespace tyllm::simulator
