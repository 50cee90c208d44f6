// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "common/format/json.h"
#include "worker/model/tokenizer_description.h"

/// What readers of a tokenizer.json's parts share.
namespace tyllm::model {

/// "<what> is <found>, which is not supported; supported: <supported>", and what can be done.
Status Unsupported(std::string_view what, std::string_view found, std::string_view supported);

/// In quotes, cut where it is long.
std::string Quoted(std::string_view text);

/// The "type" of a part, with a message of its own when there is none.
Result<std::string> TypeOf(const format::Json& part, std::string_view what);

/// A pattern that is a regular expression or text.
Result<SplitRule> ReadPattern(const format::Json& part, const std::string& what);

/// Of a text that is put before another or in its place: see kLongestInsertion.
Status CheckInsertion(std::string_view text, std::string_view what);

/// Of a normalizer or a decoder: literal patterns alone.
Result<ReplaceStep> ReadReplace(const format::Json& part, const std::string& what);

}  // namespace tyllm::model
