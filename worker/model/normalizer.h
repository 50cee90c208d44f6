// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/model/tokenizer_description.h"

namespace tyllm::model {

/// What a tokenizer.json does with a text before it is cut into pieces. Immutable.
class Normalizer {
 public:
  explicit Normalizer(std::vector<NormalizerStep> steps) : steps_(std::move(steps)) {}

  /// `text`, which is valid UTF-8, after all steps: itself where none changes it, else what
  /// `storage` holds then. Errors: memory.
  Result<std::string_view> Apply(std::string_view text, std::string& storage) const;

 private:
  std::vector<NormalizerStep> steps_;
};

/// `text` with every `pattern`, found from the front, written as `content`. `pattern` is not empty.
std::string Replaced(std::string_view text, std::string_view pattern, std::string_view content);

}  // namespace tyllm::model
