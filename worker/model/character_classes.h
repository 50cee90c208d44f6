// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tyllm::model {

/// Unicode's White_Space.
bool IsWhiteSpace(std::uint32_t code);

/// What words are made of (Unicode Technical Standard 18, annex C: \w): letters, marks, decimal
/// digits, connectors such as the underscore, and the two joiners.
bool IsWordCharacter(std::uint32_t code);

}  // namespace tyllm::model
