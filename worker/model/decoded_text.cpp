// SPDX-License-Identifier: Apache-2.0
#include "worker/model/decoded_text.h"

#include <algorithm>
#include <iterator>

#include "worker/model/utf8.h"

namespace tyllm::model {

void DecodedText::AddFirst(std::string_view bytes) {
  std::ranges::remove_copy(bytes, std::back_inserter(pending_), ' ');
  has_token_ = !bytes.empty();
}

std::string DecodedText::Take(bool at_end) {
  std::string text = TakeUtf8(pending_, at_end);
  if (leading_ == LeadingSpace::kOneGoes && !has_text_ && text.starts_with(' ')) {
    has_text_ = true;
    text.erase(0, 1);
  }
  has_text_ = has_text_ || !text.empty();
  return text;
}

}  // namespace tyllm::model
