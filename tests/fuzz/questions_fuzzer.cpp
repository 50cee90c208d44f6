// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/evaluate/questions.h"

// Any CSV file is either refused with the line that is wrong or gives questions with one right
// answer each.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tyllm;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto questions = evaluate::ParseQuestions(text, "file");
  if (!questions.ok()) {
    TYLLM_CHECK(!questions.status().message().empty());
    return 0;
  }
  TYLLM_CHECK(!questions->empty());
  std::int64_t line = 0;
  for (const evaluate::Question& question : *questions) {
    TYLLM_CHECK(question.answer >= 0 && question.answer < evaluate::kChoices);
    TYLLM_CHECK(question.line > line);
    line = question.line;
  }
  return 0;
}
