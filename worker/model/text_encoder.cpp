// SPDX-License-Identifier: Apache-2.0
#include "worker/model/text_encoder.h"

#include <optional>
#include <utility>

#include "worker/model/piece_cache.h"
#include "worker/model/space_mark.h"
#include "worker/model/utf8.h"

namespace tyllm::model {

namespace {

// For shorter texts a cache costs more than it gives.
constexpr std::size_t kCacheFrom = 4096;

}  // namespace

/// Encodes one text.
class TextEncoder::Run {
 public:
  Run(const TextEncoder& encoder, std::size_t text_size)
      : encoder_(encoder),
        scratch_(encoder.splitter_),
        emit_([this](std::string_view piece) { AddPiece(piece); }) {
    if (text_size >= kCacheFrom) {
      cache_.emplace();
    }
  }

  Status AddRaw(std::string_view text) {
    return AroundAdded(encoder_.raw_added_, text, [this, text](std::string_view gap) {
      return Normalize(gap, gap.data() == text.data());
    });
  }

  std::vector<TokenId>&& tokens() && { return std::move(tokens_); }

 private:
  /// `add_gap` gets what is left between added tokens.
  template <typename AddGap>
  Status AroundAdded(const AddedTokenMatcher& matcher, std::string_view text, AddGap add_gap) {
    std::size_t covered = 0;  // by what is added
    std::size_t at = 0;
    while (const auto match = matcher.Find(text, at, covered)) {
      if (match->begin > covered) {
        TYLLM_TRY(add_gap(text.substr(covered, match->begin - covered)));
      }
      tokens_.push_back(match->id);
      covered = match->end;
      at = match->next;
    }
    return covered < text.size() ? add_gap(text.substr(covered)) : OkStatus();
  }

  Status Normalize(std::string_view gap, bool at_start) {
    std::string storage;
    TYLLM_ASSIGN(const std::string_view text, encoder_.normalizer_.Apply(gap, storage));
    return AroundAdded(encoder_.normalized_added_, text, [&, this](std::string_view rest) {
      return AddText(rest, at_start && rest.data() == text.data());
    });
  }

  Status AddText(std::string_view text, bool at_start) {
    if (!encoder_.characters_) {
      return encoder_.splitter_.Split(text, scratch_, emit_);
    }
    if (!encoder_.space_mark_) {
      AddCharacters(text);
      return OkStatus();
    }
    const std::string marked = MarkSpaces(*encoder_.space_mark_, text, at_start);
    CutAtMarks(*encoder_.space_mark_, marked,
               [this](std::string_view piece) { AddCharacters(piece); });
    return OkStatus();
  }

  /// A piece whose symbols are characters.
  void AddCharacters(std::string_view piece) {
    if (const std::optional<TokenId> whole = WholePiece(piece)) {
      tokens_.push_back(*whole);
      return;
    }
    encoder_.characters_->Cut(piece, piece_, [this](std::string_view text) { AddStretch(text); });
  }

  /// `piece_` holds the symbols of `text`.
  void AddStretch(std::string_view text) {
    if (piece_.size() == 1) {
      tokens_.push_back(piece_.front());
      return;
    }
    if (!AddCached(text)) {
      encoder_.merges_.Apply(piece_);
      AddAndStore(text);
    }
  }

  /// A piece whose symbols are bytes.
  void AddPiece(std::string_view piece) {
    if (!AddCached(piece)) {
      Merge(piece);
      AddAndStore(piece);
    }
  }

  bool AddCached(std::string_view piece) {
    if (!cache_ || !PieceCache::Takes(piece)) {
      return false;
    }
    const std::span<const TokenId> found = cache_->Find(piece);
    tokens_.insert(tokens_.end(), found.begin(), found.end());
    return !found.empty();
  }

  /// `piece_` holds the tokens of `piece`.
  void AddAndStore(std::string_view piece) {
    tokens_.insert(tokens_.end(), piece_.begin(), piece_.end());
    if (cache_ && PieceCache::Takes(piece)) {
      cache_->Store(piece, piece_);
    }
  }

  std::optional<TokenId> WholePiece(std::string_view piece) const {
    if (encoder_.whole_pieces_.empty()) {
      return std::nullopt;
    }
    const auto whole = encoder_.whole_pieces_.find(std::string(piece));
    return whole == encoder_.whole_pieces_.end() ? std::nullopt : std::optional(whole->second);
  }

  void Merge(std::string_view piece) {
    piece_.clear();
    if (const std::optional<TokenId> whole = WholePiece(piece)) {
      piece_.push_back(*whole);
      return;
    }
    for (const char byte : piece) {
      piece_.push_back(encoder_.byte_tokens_[static_cast<unsigned char>(byte)]);
    }
    encoder_.merges_.Apply(piece_);
  }

  const TextEncoder& encoder_;
  PieceSplitter::Scratch scratch_;
  PieceSplitter::Emit emit_;
  std::optional<PieceCache> cache_;
  std::vector<TokenId> piece_;  // tokens of the piece at hand
  std::vector<TokenId> tokens_;
};

TextEncoder::TextEncoder(const TokenizerDescription& description, PieceSplitter splitter)
    : normalizer_(description.normalizer),
      space_mark_(description.space_mark),
      splitter_(std::move(splitter)),
      merges_(description.merges),
      byte_tokens_(description.byte_tokens) {
  if (description.symbols == Symbols::kCharacters) {
    characters_.emplace(description);
  }
  if (description.ignore_merges) {
    for (const VocabularyEntry& entry : description.vocabulary) {
      whole_pieces_.emplace(entry.text, entry.id);
    }
  }
}

Result<TextEncoder> TextEncoder::Create(const TokenizerDescription& description) {
  TYLLM_ASSIGN(PieceSplitter splitter, PieceSplitter::Create(description.splits));
  TextEncoder encoder(description, std::move(splitter));
  TYLLM_TRY(encoder.AddAddedTokens(description));
  return encoder;
}

Status TextEncoder::AddAddedTokens(const TokenizerDescription& description) {
  for (const AddedToken& token : description.added) {
    if (!token.normalized) {
      raw_added_.Add(token.content, token);
      continue;
    }
    std::string storage;
    TYLLM_ASSIGN(const std::string_view content, normalizer_.Apply(token.content, storage));
    if (content.empty()) {
      return InvalidArgument("nothing is left of the added token '" + token.content +
                             "' when it is normalized, expected text; take the original model's "
                             "tokenizer.json");
    }
    normalized_added_.Add(content, token);
  }
  return OkStatus();
}

Result<std::vector<TokenId>> TextEncoder::Encode(std::string_view text) const {
  const std::size_t valid = ValidUtf8Prefix(text);
  if (valid != text.size()) {
    return InvalidArgument("the text is not UTF-8: byte " +
                           std::to_string(static_cast<unsigned char>(text[valid])) + " at offset " +
                           std::to_string(valid) + " begins no character; convert it to UTF-8");
  }
  Run run(*this, text.size());
  TYLLM_TRY(run.AddRaw(text));
  return std::move(run).tokens();
}

}  // namespace tyllm::model
