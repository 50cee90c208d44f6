// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace tyllm::model {

/// True when valid UTF-8 text cannot change by composing (it has no character from U+0300 on): most
/// text, found out fast. False does not mean that it changes.
bool IsSurelyNfc(std::string_view text);

/// Unicode normalization form C of valid UTF-8 text. Errors: memory.
Result<std::string> ToNfc(std::string_view text);

}  // namespace tyllm::model
