// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::model {

using TokenId = std::int32_t;

/// Byte-level BPE as a Hugging Face tokenizer.json describes it (NFC, Split by a regex, ByteLevel,
/// merges as strings or pairs, added tokens, ignore_merges). Immutable after Load; usable from any
/// thread.
class Tokenizer {
 public:
  /// Reads `directory`/tokenizer.json. What of the file is not supported is an error naming it.
  static Result<Tokenizer> Load(const Path& directory);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Without special tokens around the text; added tokens inside the text are recognised.
  Result<std::vector<TokenId>> Encode(std::string_view text) const;
  /// Bytes of the tokens; special tokens are left out when `skip_special`.
  std::string Decode(std::span<const TokenId> tokens, bool skip_special = true) const;
  /// One past the largest id that the file knows.
  std::int64_t size() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Turns tokens into text as they come, holding back bytes of an unfinished UTF-8 character.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  /// Text that is complete now.
  std::string Push(TokenId token);
  /// What is left, invalid bytes replaced by U+FFFD.
  std::string Flush();

 private:
  const Tokenizer* tokenizer_;
  std::string pending_;
};

}  // namespace tyllm::model
