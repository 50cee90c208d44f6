// SPDX-License-Identifier: Apache-2.0
#include "worker/model/text_encoder.h"

#include <optional>
#include <utility>

#include "worker/model/normalize.h"
#include "worker/model/piece_cache.h"
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
    return AroundAdded(encoder_.raw_added_, text,
                       [this](std::string_view gap) { return Normalize(gap); });
  }

  std::vector<TokenId>&& tokens() && { return std::move(tokens_); }

 private:
  template <typename AddGap>
  Status AroundAdded(const AddedTokenMatcher& matcher, std::string_view text, AddGap add_gap) {
    std::size_t at = 0;
    while (const auto match = matcher.Find(text, at)) {
      TYLLM_TRY(add_gap(text.substr(at, match->offset - at)));
      tokens_.push_back(match->id);
      at = match->offset + match->length;
    }
    return add_gap(text.substr(at));
  }

  Status Normalize(std::string_view text) {
    if (!encoder_.nfc_ || IsSurelyNfc(text)) {
      return AddNormalized(text);
    }
    TYLLM_ASSIGN(const std::string composed, ToNfc(text));
    return AddNormalized(composed);
  }

  Status AddNormalized(std::string_view text) {
    return AroundAdded(encoder_.normalized_added_, text, [this](std::string_view gap) {
      return encoder_.splitter_.Split(gap, scratch_, emit_);
    });
  }

  void AddPiece(std::string_view piece) {
    const bool cached = cache_ && PieceCache::Takes(piece);
    if (cached) {
      if (const auto found = cache_->Find(piece); !found.empty()) {
        tokens_.insert(tokens_.end(), found.begin(), found.end());
        return;
      }
    }
    Merge(piece);
    tokens_.insert(tokens_.end(), piece_.begin(), piece_.end());
    if (cached) {
      cache_->Store(piece, piece_);
    }
  }

  void Merge(std::string_view piece) {
    piece_.clear();
    if (!encoder_.whole_pieces_.empty()) {
      const auto whole = encoder_.whole_pieces_.find(std::string(piece));
      if (whole != encoder_.whole_pieces_.end()) {
        piece_.push_back(whole->second);
        return;
      }
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
    : nfc_(description.nfc), splitter_(std::move(splitter)), merges_(description.merges) {
  for (const VocabularyEntry& entry : description.vocabulary) {
    if (entry.bytes.size() == 1) {
      byte_tokens_[static_cast<unsigned char>(entry.bytes.front())] = entry.id;
    }
    if (description.ignore_merges) {
      whole_pieces_.emplace(entry.bytes, entry.id);
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
    if (!token.normalized || !nfc_) {
      (token.normalized ? normalized_added_ : raw_added_).Add(token.content, token.id);
      continue;
    }
    TYLLM_ASSIGN(const std::string content, ToNfc(token.content));
    normalized_added_.Add(content, token.id);
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
