// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/model/chat_template.h"

// Any bytes as a chat template: an error, or a format that writes conversations or says why not.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);  // NOLINT
  const auto format = tyllm::model::ChatTemplate::Recognise(text, "input");
  if (format.ok()) {
    const tyllm::model::ChatMessage system{"system", std::string(text.substr(0, 20))};
    const tyllm::model::ChatMessage question{"user", " \u00e9\u3000"};
    const tyllm::model::ChatMessage answer{"assistant", "Hello.\xFF"};
    for (const auto& messages : {std::vector{question}, std::vector{system, question, answer},
                                 std::vector{question, answer, question}, std::vector{answer}}) {
      (void)format->Render(messages);
    }
  }
  return 0;
}
