// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "common/base/result.h"
#include "worker/model/tokenizer_description.h"

namespace tyllm::model {

/// `what` names the text in messages. What is not supported is an error that names it.
Result<TokenizerDescription> ParseTokenizerJson(std::string_view text, std::string_view what);

}  // namespace tyllm::model
