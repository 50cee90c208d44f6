// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/format/tree.h"

// A text that is accepted is the one text of its tree: ToText writes the same bytes again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);  // NOLINT
  const auto tree = tyllm::format::ParseTree(text);
  if (tree.ok()) {
    TYLLM_CHECK(tyllm::format::ToText(*tree) == text);
  }
  return 0;
}
