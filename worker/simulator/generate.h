// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "worker/forward/sampling.h"
#include "worker/simulator/session.h"
#include "worker/vision/medium.h"

namespace tyllm::simulator {

/// Why a text ended.
enum class Ending : std::uint8_t {
  kStopToken,
  kMaxTokens,
  kCacheFull,  ///< max_kv tokens
};

inline constexpr EnumTable<Ending, 3> kEndingNames("ending",
                                                   {{{Ending::kStopToken, "stop_token"},
                                                     {Ending::kMaxTokens, "max_tokens"},
                                                     {Ending::kCacheFull, "cache_full"}}});

constexpr const auto& NamesOf(Ending) {
  return kEndingNames;
}

struct GenerateRequest {
  std::vector<std::int32_t> prompt;  ///< at least one token
  std::int64_t max_tokens = 0;       ///< at least one
  std::vector<std::int32_t> stop;    ///< a token that ends the text, and is not part of it
  forward::SamplingOptions sampling;
  /// Images and videos that the prompt's visual tokens stand for; of TextModel only.
  std::vector<vision::LoadedMedium> media = {};
};

struct Generated {
  std::vector<std::int32_t> tokens;  ///< new ones
  Ending ending = Ending::kMaxTokens;
  double prefill_seconds = 0;  ///< until the first new token is known
  double decode_seconds = 0;
  std::int64_t decoded = 0;  ///< tokens that decode_seconds are for
};

/// Called with each new token as it comes.
using OnToken = std::function<void(std::int32_t token)>;

/// The first of the largest numbers.
std::int32_t BestToken(std::span<const float> logits);

/// Text after what the session has cached.
Result<Generated> Generate(Session& session, const GenerateRequest& request, const Clock& clock,
                           const OnToken& on_token = {});

}  // namespace tyllm::simulator
