// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"
#include "worker/model/decoded_text.h"

namespace tyllm::model {

using TokenId = std::int32_t;

/// BPE as a Hugging Face tokenizer.json describes it, of bytes (Qwen, Llama 3) or of characters
/// with byte fallback (SentencePiece's: Llama 2, the first Mistral); docs/formats/tokenizer.md says
/// what of the file is read. Immutable after Load; usable from any thread.
class Tokenizer {
 public:
  /// Reads `directory`/tokenizer.json. What of the file is not supported is an error naming it.
  static Result<Tokenizer> Load(const Path& directory);
  /// The same from the file's text; `what` names it in messages.
  static Result<Tokenizer> Parse(std::string_view text, std::string_view what);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Without special tokens around the text; added tokens inside the text are recognised. Text that
  /// is not UTF-8 is an error that says where.
  Result<std::vector<TokenId>> Encode(std::string_view text) const;
  /// Text of the tokens: always valid UTF-8, bytes that make no character are replaced by U+FFFD.
  /// Special tokens are left out when `skip_special`. Ids that the file does not know give nothing.
  /// Where the file says so, a space in front of all goes.
  std::string Decode(std::span<const TokenId> tokens, bool skip_special = true) const;
  /// Bytes of one token, which need not be whole characters; empty for an id that is not known.
  /// Valid as long as the tokenizer.
  std::string_view BytesOf(TokenId token) const;
  /// True for added tokens that are marked special.
  bool IsSpecial(TokenId token) const;
  /// The added token that is spelt so, "<|im_end|>".
  std::optional<TokenId> FindAdded(std::string_view content) const;
  /// One past the largest id that the file knows.
  std::int64_t size() const;

 private:
  friend class StreamDecoder;
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Turns tokens into text as they come, holding back bytes of an unfinished UTF-8 character. All
/// that Push and Flush gave, joined, is what Decode gives for all the tokens. Special tokens are
/// left out.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer);

  /// Text that is complete now.
  std::string Push(TokenId token);
  /// What is left, invalid bytes replaced by U+FFFD.
  std::string Flush();

 private:
  const Tokenizer* tokenizer_;
  DecodedText text_;
};

}  // namespace tyllm::model
