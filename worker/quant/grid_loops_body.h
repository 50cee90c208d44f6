// SPDX-License-Identifier: Apache-2.0
// The loops of grid_loops.h, included once by the source file of each instruction set and
// vectorised by the compiler. Nothing of the standard library's templates is used: code compiled
// for AVX2 must not become the linker's choice for another file.
#pragma once

#include "worker/quant/grid_loops.h"

namespace tyllm::quant {
namespace {

/// Of w * inverse + zero, clamped. Adding 1.5 * 2^23 rounds to a whole number, halves to even.
inline float CodeOf(float w, float inverse, float zero) {
  constexpr float kRound = 12582912.0F;
  const float code = (w * inverse + kRound) - kRound + zero;
  const float at_least = code > 0.0F ? code : 0.0F;
  return at_least < 15.0F ? at_least : 15.0F;
}

void Range(const float* w, std::int64_t n, float* low, float* high) {
  constexpr std::int64_t kLanes = 16;
  float lows[kLanes] = {};
  float highs[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const float v = w[i + lane];
      lows[lane] = v < lows[lane] ? v : lows[lane];
      highs[lane] = v > highs[lane] ? v : highs[lane];
    }
  }
  for (; i < n; ++i) {
    lows[0] = w[i] < lows[0] ? w[i] : lows[0];
    highs[0] = w[i] > highs[0] ? w[i] : highs[0];
  }
  for (std::int64_t lane = 1; lane < kLanes; ++lane) {
    lows[0] = lows[lane] < lows[0] ? lows[lane] : lows[0];
    highs[0] = highs[lane] > highs[0] ? highs[lane] : highs[0];
  }
  *low = lows[0];
  *high = highs[0];
}

void Round(const float* w, std::int64_t n, float step, float zero, std::uint8_t* codes) {
  const float inverse = 1.0F / step;
  for (std::int64_t i = 0; i < n; ++i) {
    codes[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(CodeOf(w[i], inverse, zero)));
  }
}

void Errors(const float* __restrict w, std::int64_t n, float step, float zero,
            float* __restrict error) {
  const float inverse = 1.0F / step;
  for (std::int64_t i = 0; i < n; ++i) {
    error[i] = (CodeOf(w[i], inverse, zero) - zero) * step - w[i];
  }
}

float Dot(const float* a, const float* b, std::int64_t n) {
  constexpr std::int64_t kLanes = 16;
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += a[i + lane] * b[i + lane];
    }
  }
  float rest = 0.0F;
  for (; i < n; ++i) {
    rest += a[i] * b[i];
  }
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::int64_t lane = 0; lane < half; ++lane) {
      lanes[lane] += lanes[lane + half];
    }
  }
  return lanes[0] + rest;
}

void AddScaled(const float* __restrict a, float factor, std::int64_t n, float* __restrict to) {
  for (std::int64_t i = 0; i < n; ++i) {
    to[i] += a[i] * factor;
  }
}

float WeighedSquares(const float* __restrict w, const float* __restrict cost, std::int64_t n,
                     float step, float zero) {
  constexpr std::int64_t kLanes = 16;
  const float inverse = 1.0F / step;
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const float v = w[i + lane];
      const float error = (CodeOf(v, inverse, zero) - zero) * step - v;
      lanes[lane] += cost[i + lane] * (error * error);
    }
  }
  for (; i < n; ++i) {
    const float error = (CodeOf(w[i], inverse, zero) - zero) * step - w[i];
    lanes[0] += cost[i] * (error * error);
  }
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::int64_t lane = 0; lane < half; ++lane) {
      lanes[lane] += lanes[lane + half];
    }
  }
  return lanes[0];
}

/// The columns from `first` on give what the error of column `first - 1` asks of them.
inline void PassOn(const FeedbackRun& run, std::int64_t first, const float* __restrict error,
                   float* __restrict later) {
  const float* row = run.feedback + (first - 1) * run.stride;
  for (std::int64_t m = first; m < run.count; ++m) {
    const float factor = row[m];
    for (std::int64_t lane = 0; lane < kGridLanes; ++lane) {
      later[lane] -= error[lane] * factor;
    }
    later += kGridLanes;
  }
}

void Compensate(const FeedbackRun& run, const float* __restrict steps,
                const float* __restrict zeros, float* __restrict errors, float* __restrict scores) {
  float inverses[kGridLanes];
  for (std::int64_t lane = 0; lane < kGridLanes; ++lane) {
    inverses[lane] = 1.0F / steps[lane];
    scores[lane] = 0.0F;
  }
  for (std::int64_t i = 0; i < run.count; ++i) {
    for (std::int64_t lane = 0; lane < kGridLanes; ++lane) {
      errors[i * kGridLanes + lane] = run.target[i];
    }
  }
  for (std::int64_t k = 0; k < run.count; ++k) {
    float* here = errors + k * kGridLanes;
    float error[kGridLanes];
    for (std::int64_t lane = 0; lane < kGridLanes; ++lane) {
      const float target = here[lane];
      const float coded = (CodeOf(target, inverses[lane], zeros[lane]) - zeros[lane]) * steps[lane];
      const float residual = coded - target;
      scores[lane] += run.cost[k] * (residual * residual);
      error[lane] = coded - run.weights[k];
      here[lane] = error[lane];
    }
    PassOn(run, k + 1, error, here + kGridLanes);
  }
}

}  // namespace
}  // namespace tyllm::quant
