// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tyllm::model {

/// The printable stand-in of a byte in the vocabulary of a byte-level BPE (GPT-2's
/// bytes_to_unicode): bytes 33..126, 161..172 and 174..255 are their own code point, the others
/// follow from U+0100 on. UTF-8.
std::string StandInOf(std::uint8_t byte);

/// The bytes that a text of stand-ins spells; nothing when it holds another character.
std::optional<std::string> BytesOfStandIns(std::string_view text);

}  // namespace tyllm::model
