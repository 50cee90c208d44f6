// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "worker/model/tokenizer_description.h"

namespace tyllm::model {

/// `text`, which is not empty, with marks for its spaces, and one in front where the rule wants it
/// and there is none. `at_start`: nothing was before it.
std::string MarkSpaces(const SpaceMarkRule& rule, std::string_view text, bool at_start);

/// Calls `emit(piece)` for the pieces of `marked`: every mark begins one, or all is one piece.
template <typename Emit>
void CutAtMarks(const SpaceMarkRule& rule, std::string_view marked, const Emit& emit) {
  while (rule.split) {
    const std::size_t next = marked.find(rule.mark, marked.starts_with(rule.mark) ? 1 : 0);
    if (next == std::string_view::npos) {
      break;
    }
    emit(marked.substr(0, next));
    marked.remove_prefix(next);
  }
  emit(marked);
}

}  // namespace tyllm::model
