// SPDX-License-Identifier: Apache-2.0
#include "worker/model/space_mark.h"

#include "worker/model/normalizer.h"

namespace tyllm::model {

std::string MarkSpaces(const SpaceMarkRule& rule, std::string_view text, bool at_start) {
  std::string marked = Replaced(text, " ", rule.mark);
  const bool wanted =
      rule.in_front == MarkInFront::kAlways || (rule.in_front == MarkInFront::kFirst && at_start);
  return wanted && !marked.starts_with(rule.mark) ? rule.mark + marked : marked;
}

}  // namespace tyllm::model
