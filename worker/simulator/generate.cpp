// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/generate.h"

#include <algorithm>

namespace tyllm::simulator {

std::int32_t BestToken(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

Result<Generated> Generate(Session& session, const GenerateRequest& request, const Clock& clock,
                           const OnToken& on_token) {
  if (request.max_tokens < 1) {
    return InvalidArgument("asked for " + std::to_string(request.max_tokens) +
                           " new tokens, expected at least 1");
  }
  TYLLM_TRY(forward::Check(request.sampling));
  forward::Sampler sampler(request.sampling);
  Generated out;
  const auto begin = clock.Now();
  TYLLM_ASSIGN(std::vector<float> logits, session.Feed(request.prompt));
  const auto first = clock.Now();
  out.prefill_seconds = std::chrono::duration<double>(first - begin).count();
  while (true) {
    const std::int32_t token = sampler.Choose(logits);
    if (std::find(request.stop.begin(), request.stop.end(), token) != request.stop.end()) {
      out.ending = Ending::kStopToken;
      break;
    }
    out.tokens.push_back(token);
    if (on_token) {
      on_token(token);
    }
    if (std::ssize(out.tokens) == request.max_tokens) {
      break;
    }
    if (session.history() == session.max_kv()) {
      out.ending = Ending::kCacheFull;
      break;
    }
    TYLLM_ASSIGN(logits, session.Feed(std::span(&token, 1)));
    ++out.decoded;
  }
  out.decode_seconds = std::chrono::duration<double>(clock.Now() - first).count();
  return out;
}

}  // namespace tyllm::simulator
