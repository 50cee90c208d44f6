// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tyllm::model {

/// How a vocabulary with byte fallback spells the token of a byte: "<0x0A>".
std::string ByteTokenOf(std::uint8_t byte);

/// The byte that a token spells so, hexadecimal digits in either case; none for other tokens.
std::optional<std::uint8_t> ByteOfToken(std::string_view token);

}  // namespace tyllm::model
