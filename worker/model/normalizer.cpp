// SPDX-License-Identifier: Apache-2.0
#include "worker/model/normalizer.h"

#include <optional>
#include <utility>

#include "worker/model/nfc.h"

namespace tyllm::model {

namespace {

// Steps that each make a text longer may be many.
constexpr std::size_t kMostGrowth = 64;

// Each gives the text that it makes, or none where the text stays as it is.
using Changed = Result<std::optional<std::string>>;

Changed Apply(const ComposeStep& /*step*/, std::string_view text) {
  if (IsSurelyNfc(text)) {
    return std::optional<std::string>();
  }
  TYLLM_ASSIGN(std::string composed, ToNfc(text));
  return std::optional(std::move(composed));
}

Changed Apply(const PrependStep& step, std::string_view text) {
  return text.empty() ? std::optional<std::string>()
                      : std::optional(std::string(step.text).append(text));
}

Changed Apply(const ReplaceStep& step, std::string_view text) {
  return text.find(step.pattern) == std::string_view::npos
             ? std::optional<std::string>()
             : std::optional(Replaced(text, step.pattern, step.content));
}

}  // namespace

std::string Replaced(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  std::size_t at = 0;
  for (std::size_t found = text.find(pattern); found != std::string_view::npos;
       found = text.find(pattern, at)) {
    out.append(text, at, found - at).append(content);
    at = found + pattern.size();
  }
  return out.append(text, at);
}

Result<std::string_view> Normalizer::Apply(std::string_view text, std::string& storage) const {
  const std::size_t most = (text.size() + kLongestInsertion) * kMostGrowth;
  for (const NormalizerStep& step : steps_) {
    TYLLM_ASSIGN(std::optional<std::string> changed,
                 std::visit([text](const auto& s) { return model::Apply(s, text); }, step));
    if (changed) {
      storage = *std::move(changed);
      text = storage;
    }
    if (text.size() > most) {
      return ResourceExhausted("the tokenizer's normalizer makes more than " +
                               std::to_string(most) + " bytes of text, expected at most " +
                               std::to_string(kMostGrowth) +
                               " times the text; take the original model's tokenizer.json");
    }
  }
  return text;
}

}  // namespace tyllm::model
