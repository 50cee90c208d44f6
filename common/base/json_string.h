// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace tyllm {

/// Appends `text` as a JSON string, quotes and all, on one line. Bytes that are no UTF-8 become
/// U+FFFD, so that every reader of JSON takes it. For messages, which may come where there is
/// little memory left or none of the library that writes documents.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace tyllm
