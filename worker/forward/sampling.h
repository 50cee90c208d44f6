// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "common/base/result.h"

namespace tyllm::forward {

/// How the next token is drawn. The default is greedy.
struct SamplingOptions {
  double temperature = 0;  ///< 0: always the likeliest token
  double top_p = 1;        ///< the likeliest tokens that together have this probability
  std::int64_t top_k = 0;  ///< the likeliest tokens, this many; 0: all
  std::int64_t seed = 0;   ///< equal seeds give equal texts

  bool greedy() const { return temperature == 0; }
};

/// Ranges: temperature 0 to 100, top_p above 0 to 1, top_k from 0.
Status Check(const SamplingOptions& options);

/// Draws tokens from logits: first the temperature, then top_k, then top_p, as transformers orders
/// them. The same options and logits give the same tokens on every machine. Not thread-safe.
class Sampler {
 public:
  /// `options` have been checked.
  explicit Sampler(const SamplingOptions& options);

  /// `logits` [vocabulary] are finite. Of equal ones the first counts as the likelier.
  std::int32_t Choose(std::span<const float> logits);

 private:
  /// The candidates in falling probability, cut as the options say.
  void KeepLikeliest();
  std::int32_t Draw();

  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<double> weights_;      ///< [vocabulary], relative to the likeliest token's
  std::vector<std::int32_t> order_;  ///< tokens not yet taken, a heap
  std::vector<std::int32_t> kept_;
};

}  // namespace tyllm::forward
