// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/greedy_text.h"

#include "worker/simulator/compare_logits.h"
#include "worker/simulator/generate.h"

namespace tyllm::simulator {

Status GreedyText::Choose() {
  const std::size_t i = tokens_.size();
  const std::int32_t best = BestToken(logits_);
  if (!tie_ && best != expected_.tokens[i]) {
    LogitDifference ignored;
    TYLLM_TRY(CompareBest(logits_, expected_.tokens[i],
                          expected_.prompt_tokens + static_cast<std::int64_t>(i) - 1,
                          expected_.tolerance, ignored));
    tie_ = i;
  }
  tokens_.push_back(best);
  return OkStatus();
}

Status ContinueTogether(std::span<Session> sessions, std::span<GreedyText> texts) {
  while (!texts.front().done()) {
    for (GreedyText& text : texts) {
      TYLLM_TRY(text.Choose());
    }
    if (texts.front().done() || sessions.front().history() == sessions.front().max_kv()) {
      break;
    }
    std::vector<Session::Feeding> feedings;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      feedings.push_back({&sessions[i], texts[i].last()});
    }
    TYLLM_ASSIGN(std::vector<std::vector<float>> logits, Session::FeedTogether(feedings));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      texts[i].Read(std::move(logits[i]));
    }
  }
  return OkStatus();
}

}  // namespace tyllm::simulator
