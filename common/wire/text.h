// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tyllm::wire {

/// The text with every byte that is not part of well-formed UTF-8 replaced by U+FFFD. A protobuf
/// message with other bytes in a `string` field can be sent but not read, so that one odd byte in a
/// child's log would cut its worker off.
std::string ValidUtf8(std::string_view text);

/// The text, or its first bytes (whole characters) and "..." so that it has at most `limit` bytes.
std::string Shortened(std::string_view text, std::size_t limit);

}  // namespace tyllm::wire
