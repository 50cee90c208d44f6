// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace tyllm::forward {

Status Check(const SamplingOptions& options) {
  constexpr double kHottest = 100;
  if (!(options.temperature >= 0 && options.temperature <= kHottest)) {
    return InvalidArgument("temperature is " + std::to_string(options.temperature) +
                           ", expected 0 (greedy) to 100");
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    return InvalidArgument("top-p is " + std::to_string(options.top_p) +
                           ", expected more than 0 and at most 1");
  }
  if (options.top_k < 0) {
    return InvalidArgument("top-k is " + std::to_string(options.top_k) +
                           ", expected 0 (all tokens) or more");
  }
  return OkStatus();
}

Sampler::Sampler(const SamplingOptions& options)
    : options_(options), random_(static_cast<std::uint64_t>(options.seed)) {}

void Sampler::KeepLikeliest() {
  order_.resize(weights_.size());
  std::iota(order_.begin(), order_.end(), 0);
  const auto less_likely = [&](std::int32_t a, std::int32_t b) {
    const double left = weights_[static_cast<std::size_t>(a)];
    const double right = weights_[static_cast<std::size_t>(b)];
    return left < right || (left == right && a > b);
  };
  std::make_heap(order_.begin(), order_.end(), less_likely);
  kept_.clear();
  const auto take = [&] {
    std::pop_heap(order_.begin(), order_.end(), less_likely);
    kept_.push_back(order_.back());
    order_.pop_back();
    return weights_[static_cast<std::size_t>(kept_.back())];
  };
  if (options_.top_k == 0) {
    double wanted = options_.top_p * std::accumulate(weights_.begin(), weights_.end(), 0.0);
    while (wanted > 0 && !order_.empty()) {
      wanted -= take();
    }
    return;
  }
  double mass = 0;
  while (std::ssize(kept_) < options_.top_k && !order_.empty()) {
    mass += take();
  }
  double wanted = options_.top_p * mass;
  std::size_t count = 0;
  while (wanted > 0 && count < kept_.size()) {
    wanted -= weights_[static_cast<std::size_t>(kept_[count++])];
  }
  kept_.resize(count);
}

std::int32_t Sampler::Draw() {
  constexpr int kBitsOverMantissa = 11;  // 64 - 53
  const double uniform = std::ldexp(static_cast<double>(random_() >> kBitsOverMantissa), -53);
  const auto weight = [&](std::int32_t token) { return weights_[static_cast<std::size_t>(token)]; };
  double left =
      uniform * std::accumulate(kept_.begin(), kept_.end(), 0.0,
                                [&](double sum, std::int32_t t) { return sum + weight(t); });
  for (const std::int32_t token : kept_) {
    left -= weight(token);
    if (left < 0) {
      return token;
    }
  }
  return kept_.front();  // rounding left nothing: the likeliest
}

std::int32_t Sampler::Choose(std::span<const float> logits) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (options_.greedy()) {
    return static_cast<std::int32_t>(largest - logits.begin());
  }
  weights_.resize(logits.size());
  std::transform(logits.begin(), logits.end(), weights_.begin(), [&](float logit) {
    return std::exp((static_cast<double>(logit) - static_cast<double>(*largest)) /
                    options_.temperature);
  });
  KeepLikeliest();
  return Draw();
}

}  // namespace tyllm::forward
