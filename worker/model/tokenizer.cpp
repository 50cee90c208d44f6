// SPDX-License-Identifier: Apache-2.0
#include "worker/model/tokenizer.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "worker/model/text_encoder.h"
#include "worker/model/tokenizer_json.h"
#include "worker/model/utf8.h"

namespace tyllm::model {

namespace {

// Bytes of every id, one after another.
class TokenBytes {
 public:
  explicit TokenBytes(const TokenizerDescription& description) {
    std::unordered_map<TokenId, std::string_view> known;
    TokenId size = 0;
    for (const VocabularyEntry& entry : description.vocabulary) {
      known[entry.id] = entry.bytes;
      size = std::max(size, entry.id + 1);
    }
    for (const AddedToken& token : description.added) {  // last: an added token is its content
      known[token.id] = token.content;
      size = std::max(size, token.id + 1);
    }
    ends_.reserve(static_cast<std::size_t>(size));
    for (TokenId id = 0; id < size; ++id) {
      const auto found = known.find(id);
      bytes_ += found == known.end() ? std::string_view() : found->second;
      ends_.push_back(bytes_.size());
    }
  }

  std::string_view Of(TokenId id) const {
    if (id < 0 || id >= size()) {
      return {};
    }
    const auto i = static_cast<std::size_t>(id);
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }

  TokenId size() const { return static_cast<TokenId>(ends_.size()); }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;
};

}  // namespace

struct Tokenizer::State {
  TextEncoder encoder;
  TokenBytes bytes;
  std::unordered_map<std::string, AddedToken> added;  // by content
  std::vector<bool> special;                          // by id
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::Load(const Path& directory) {
  const Path path = directory / "tokenizer.json";
  TYLLM_ASSIGN(const std::string text, LocalFileSystem().Read(path));
  return Parse(text, path.string());
}

Result<Tokenizer> Tokenizer::Parse(std::string_view text, std::string_view what) {
  TYLLM_ASSIGN(const TokenizerDescription description, ParseTokenizerJson(text, what));
  Result<TextEncoder> encoder = TextEncoder::Create(description);
  if (!encoder.ok()) {
    return encoder.status().Annotate(what);
  }
  auto state = std::make_unique<State>(State{*std::move(encoder), TokenBytes(description), {}, {}});
  state->special.resize(static_cast<std::size_t>(state->bytes.size()));
  for (const AddedToken& token : description.added) {
    state->added.emplace(token.content, token);
    state->special[static_cast<std::size_t>(token.id)] = token.special;
  }
  return Tokenizer(std::move(state));
}

Result<std::vector<TokenId>> Tokenizer::Encode(std::string_view text) const {
  return state_->encoder.Encode(text);
}

std::string Tokenizer::Decode(std::span<const TokenId> tokens, bool skip_special) const {
  std::string bytes;
  for (const TokenId token : tokens) {
    if (!skip_special || !IsSpecial(token)) {
      bytes += BytesOf(token);
    }
  }
  return TakeUtf8(bytes, true);
}

std::string_view Tokenizer::BytesOf(TokenId token) const {
  return state_->bytes.Of(token);
}

bool Tokenizer::IsSpecial(TokenId token) const {
  return token >= 0 && token < state_->bytes.size() &&
         state_->special[static_cast<std::size_t>(token)];
}

std::optional<TokenId> Tokenizer::FindAdded(std::string_view content) const {
  const auto found = state_->added.find(std::string(content));
  return found == state_->added.end() ? std::nullopt : std::optional(found->second.id);
}

std::int64_t Tokenizer::size() const {
  return state_->bytes.size();
}

std::string StreamDecoder::Push(TokenId token) {
  if (!tokenizer_->IsSpecial(token)) {
    pending_ += tokenizer_->BytesOf(token);
  }
  return TakeUtf8(pending_, false);
}

std::string StreamDecoder::Flush() {
  return TakeUtf8(pending_, true);
}

}  // namespace tyllm::model
