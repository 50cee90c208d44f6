// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/tokenizer_files.h"

#include <array>
#include <filesystem>
#include <string>

#include "worker/artifact/layout.h"

namespace tyllm::compile {
namespace {

constexpr std::array<std::string_view, 8> kNames{
    "tokenizer.json",    "tokenizer_config.json",   "vocab.json",         "merges.txt",
    "added_tokens.json", "special_tokens_map.json", "chat_template.json", "chat_template.jinja"};

bool IsThere(const Path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

}  // namespace

std::vector<Path> TokenizerFiles(const Path& folder) {
  std::vector<Path> files;
  for (const std::string_view name : kNames) {
    if (!folder.empty() && IsThere(folder / name)) {
      files.emplace_back(name);
    }
  }
  return files;
}

Result<std::optional<model::Tokenizer>> LoadTokenizer(const Path& folder) {
  if (!IsThere(folder / artifact::kTokenizerFile)) {
    return std::optional<model::Tokenizer>();
  }
  Result<model::Tokenizer> tokenizer = model::Tokenizer::Load(folder);
  if (tokenizer.status().code() == StatusCode::kUnimplemented) {
    return std::optional<model::Tokenizer>();
  }
  TYLLM_TRY(tokenizer.status());
  return std::optional<model::Tokenizer>(*std::move(tokenizer));
}

Result<std::vector<model::TokenId>> EncodeFor(const model::Tokenizer& tokenizer,
                                              std::string_view text, std::int64_t vocabulary,
                                              const Path& folder) {
  TYLLM_ASSIGN(std::vector<model::TokenId> tokens, tokenizer.Encode(text));
  for (const model::TokenId token : tokens) {
    if (token < 0 || token >= vocabulary) {
      return InvalidArgument((folder / artifact::kTokenizerFile).string() + " gives token " +
                             std::to_string(token) + " for English text, expected 0 to " +
                             std::to_string(vocabulary - 1) +
                             " (vocab_size of config.json); give the tokenizer of this model");
    }
  }
  return tokens;
}

}  // namespace tyllm::compile
