// SPDX-License-Identifier: Apache-2.0
#include "worker/model/character_classes.h"

#include <utf8proc.h>

namespace tyllm::model {

namespace {

bool IsIn(std::uint32_t code, std::uint32_t first, std::uint32_t last) {
  return code >= first && code <= last;
}

// Alphabetic, though their category is "other symbol": letters in circles and squares.
bool IsEnclosedLetter(std::uint32_t code) {
  return IsIn(code, 0x24B6, 0x24E9) || IsIn(code, 0x1F130, 0x1F149) ||
         IsIn(code, 0x1F150, 0x1F169) || IsIn(code, 0x1F170, 0x1F189);
}

}  // namespace

bool IsWhiteSpace(std::uint32_t code) {
  return IsIn(code, 0x9, 0xD) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         IsIn(code, 0x2000, 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

bool IsWordCharacter(std::uint32_t code) {
  constexpr std::uint32_t kInWords =
      1U << UTF8PROC_CATEGORY_LU | 1U << UTF8PROC_CATEGORY_LL | 1U << UTF8PROC_CATEGORY_LT |
      1U << UTF8PROC_CATEGORY_LM | 1U << UTF8PROC_CATEGORY_LO | 1U << UTF8PROC_CATEGORY_MN |
      1U << UTF8PROC_CATEGORY_MC | 1U << UTF8PROC_CATEGORY_ME | 1U << UTF8PROC_CATEGORY_ND |
      1U << UTF8PROC_CATEGORY_NL | 1U << UTF8PROC_CATEGORY_PC;
  const auto category =
      static_cast<unsigned>(utf8proc_category(static_cast<utf8proc_int32_t>(code)));
  return (kInWords >> category & 1U) != 0 || IsEnclosedLetter(code) || code == 0x200C ||
         code == 0x200D;
}

}  // namespace tyllm::model
