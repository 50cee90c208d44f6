// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/model/tokenizer_description.h"

namespace tyllm::model {

/// What every token stands for in decoded text. Immutable.
class TokenBytes {
 public:
  /// Errors: memory.
  static Result<TokenBytes> Create(const TokenizerDescription& description);

  /// Empty for ids that are not known.
  std::string_view Of(TokenId id) const {
    if (id < 0 || id >= size()) {
      return {};
    }
    const auto i = static_cast<std::size_t>(id);
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }

  /// One past the largest id.
  TokenId size() const { return static_cast<TokenId>(ends_.size()); }

 private:
  TokenBytes() = default;

  std::string bytes_;  // of every id, one after another
  std::vector<std::size_t> ends_;
};

}  // namespace tyllm::model
