// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "worker/model/tokenizer.h"

namespace tyllm::compile {

/// What belongs to a tokenizer, of the files that a folder has: names, in a fixed order. Without a
/// folder none.
std::vector<Path> TokenizerFiles(const Path& folder);

/// The tokenizer of a model's folder; nothing where there is none or it is of a form that is not
/// read here (docs/formats/tokenizer.md): programs take numbers of tokens.
Result<std::optional<model::Tokenizer>> LoadTokenizer(const Path& folder);

/// `text` as tokens of a model that has `vocabulary` of them. kInvalidArgument where the tokenizer
/// of `folder` gives others: it is that of another model.
Result<std::vector<model::TokenId>> EncodeFor(const model::Tokenizer& tokenizer,
                                              std::string_view text, std::int64_t vocabulary,
                                              const Path& folder);

}  // namespace tyllm::compile
