// SPDX-License-Identifier: Apache-2.0
#include "worker/model/tokenizer.h"

#include <unordered_map>
#include <utility>

#include "worker/model/text_encoder.h"
#include "worker/model/token_bytes.h"
#include "worker/model/tokenizer_json.h"

namespace tyllm::model {

struct Tokenizer::State {
  TextEncoder encoder;
  TokenBytes bytes;
  LeadingSpace leading = LeadingSpace::kStays;
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
  TYLLM_ASSIGN(TokenBytes bytes, TokenBytes::Create(description));
  auto state = std::make_unique<State>(
      State{*std::move(encoder), std::move(bytes), description.decoding.leading, {}, {}});
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
  DecodedText text(state_->leading);
  for (const TokenId token : tokens) {
    if (!skip_special || !IsSpecial(token)) {
      text.Add(BytesOf(token));
    }
  }
  return text.Take(true);
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

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer)
    : tokenizer_(&tokenizer), text_(tokenizer.state_->leading) {}

std::string StreamDecoder::Push(TokenId token) {
  if (!tokenizer_->IsSpecial(token)) {
    text_.Add(tokenizer_->BytesOf(token));
  }
  return text_.Take(false);
}

std::string StreamDecoder::Flush() {
  return text_.Take(true);
}

}  // namespace tyllm::model
