// SPDX-License-Identifier: Apache-2.0
// The loops of vector_loops.h for TYLLM_LANES lanes, included once by the source file of each
// instruction set. Everything is in an unnamed namespace and nothing of the standard library's
// templates is used: code compiled for AVX2 must not become the linker's choice for another file.
#pragma once

#include "worker/tensor/vector_loops.h"

namespace tyllm::tensor {
namespace {

constexpr std::int64_t kLanes = TYLLM_LANES;
using Floats = float __attribute__((vector_size(4 * TYLLM_LANES)));
using Ints = std::int32_t __attribute__((vector_size(4 * TYLLM_LANES)));

inline Floats Load(const float* from) {
  Floats v;
  __builtin_memcpy(&v, from, sizeof(v));
  return v;
}

inline void Store(float* to, Floats v) {
  __builtin_memcpy(to, &v, sizeof(v));
}

/// The last `count` < kLanes numbers, `fill` in the other lanes.
inline Floats LoadPart(const float* from, std::int64_t count, float fill) {
  Floats v = Floats{} + fill;
  __builtin_memcpy(&v, from, static_cast<unsigned long>(count) * sizeof(float));
  return v;
}

inline void StorePart(float* to, Floats v, std::int64_t count) {
  __builtin_memcpy(to, &v, static_cast<unsigned long>(count) * sizeof(float));
}

inline Floats Larger(Floats a, Floats b) {
  return a > b ? a : b;
}

/// Range reduction to [-ln2/2, ln2/2] and the polynomial of the Cephes library's expf. Not-a-number
/// stays so: both comparisons of the clamp are false of it.
inline Floats Exp(Floats x) {
  constexpr Floats kLowest = Floats{} - 87.0F;
  constexpr Floats kHighest = Floats{} + 88.0F;
  x = x < kLowest ? kLowest : x;
  x = x > kHighest ? kHighest : x;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
  const Floats shifted = x * 1.44269504088896341F + kRound;
  const Floats n = shifted - kRound;
  const Floats r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Floats p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  const Ints power = (__builtin_convertvector(n, Ints) + 127) << 23;
  Floats scale;
  __builtin_memcpy(&scale, &power, sizeof(scale));
  return p * scale;
}

inline float SumOf(Floats v) {
  float sum = 0.0F;
  for (std::int64_t i = 0; i < kLanes; ++i) {
    sum += v[i];
  }
  return sum;
}

/// Sum of f(i, count) over the vectors of [0, n); lanes at and after `count` are left out.
template <typename F>
inline float SumVectors(std::int64_t n, F f) {
  Floats sum{};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    sum += f(i, kLanes);
  }
  float total = SumOf(sum);
  if (i < n) {
    const Floats last = f(i, n - i);
    for (std::int64_t lane = 0; lane < n - i; ++lane) {
      total += last[lane];
    }
  }
  return total;
}

inline Floats LoadUpTo(const float* from, std::int64_t count) {
  return count == kLanes ? Load(from) : LoadPart(from, count, 0.0F);
}

inline void StoreUpTo(float* to, Floats v, std::int64_t count) {
  if (count == kLanes) {
    Store(to, v);
  } else {
    StorePart(to, v, count);
  }
}

/// f(i, count) over the vectors of [0, n).
template <typename F>
inline void ForVectors(std::int64_t n, F f) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    f(i, kLanes);
  }
  if (i < n) {
    f(i, n - i);
  }
}

float Max(const float* x, std::int64_t n) {
  Floats best = Floats{} + x[0];
  ForVectors(n, [&](std::int64_t i, std::int64_t count) {
    best = Larger(best, count == kLanes ? Load(x + i) : LoadPart(x + i, count, x[0]));
  });
  float result = best[0];
  for (std::int64_t lane = 1; lane < kLanes; ++lane) {
    result = best[lane] > result ? best[lane] : result;
  }
  return result;
}

float SumSquares(const float* x, std::int64_t n) {
  return SumVectors(n, [=](std::int64_t i, std::int64_t count) {
    const Floats v = LoadUpTo(x + i, count);
    return v * v;
  });
}

float SumExp(const float* x, std::int64_t n, float shift) {
  return SumVectors(
      n, [=](std::int64_t i, std::int64_t count) { return Exp(LoadUpTo(x + i, count) - shift); });
}

float ExpInPlace(float* x, std::int64_t n, float shift) {
  return SumVectors(n, [=](std::int64_t i, std::int64_t count) {
    const Floats v = Exp(LoadUpTo(x + i, count) - shift);
    StoreUpTo(x + i, v, count);
    return v;
  });
}

float SumDivergence(const float* p, const float* q, std::int64_t n, float p_shift, float gap) {
  return SumVectors(n, [=](std::int64_t i, std::int64_t count) {
    const Floats a = LoadUpTo(p + i, count);
    const Floats b = LoadUpTo(q + i, count);
    return Exp(a - p_shift) * ((a - b) - gap);
  });
}

void ScaleByWeight(const float* x, const float* weight, float factor, float* out, std::int64_t n) {
  ForVectors(n, [=](std::int64_t i, std::int64_t count) {
    StoreUpTo(out + i, LoadUpTo(x + i, count) * factor * LoadUpTo(weight + i, count), count);
  });
}

void Scale(float* x, float factor, std::int64_t n) {
  ForVectors(n, [=](std::int64_t i, std::int64_t count) {
    StoreUpTo(x + i, LoadUpTo(x + i, count) * factor, count);
  });
}

void SiluMul(const float* gate, const float* up, float* out, std::int64_t n) {
  ForVectors(n, [=](std::int64_t i, std::int64_t count) {
    const Floats g = LoadUpTo(gate + i, count);
    StoreUpTo(out + i, g / (Exp(-g) + 1.0F) * LoadUpTo(up + i, count), count);
  });
}

void SigmoidMul(const float* x, float slope, float cubic, float* out, std::int64_t n) {
  ForVectors(n, [=](std::int64_t i, std::int64_t count) {
    const Floats v = LoadUpTo(x + i, count);
    StoreUpTo(out + i, v / (Exp(-v * (v * v * cubic + slope)) + 1.0F), count);
  });
}

void Add(const float* a, const float* b, float* out, std::int64_t n) {
  ForVectors(n, [=](std::int64_t i, std::int64_t count) {
    StoreUpTo(out + i, LoadUpTo(a + i, count) + LoadUpTo(b + i, count), count);
  });
}

constexpr VectorLoops LoopsNamed(const char* name) {
  return {name,          Max,   SumSquares, SumExp,     ExpInPlace, SumDivergence,
          ScaleByWeight, Scale, SiluMul,    SigmoidMul, Add};
}

}  // namespace
}  // namespace tyllm::tensor
