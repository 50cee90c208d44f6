// SPDX-License-Identifier: Apache-2.0
#include "common/format/float_arrays.h"

#include <cstring>

#include "common/base/status.h"
#include "common/format/float16.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tyllm::format {

namespace {

std::uint16_t LoadBits(const std::byte* at) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof(bits));
  return bits;
}

#if defined(__x86_64__)
bool HasF16c() {
  static const bool has =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("f16c") != 0;
  return has;
}

/// How many elements were converted, a multiple of 8.
[[gnu::target("avx2,f16c")]] std::size_t HalvesToFloatsF16c(const std::byte* from, float* to,
                                                            std::size_t count) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m128i bits;
    std::memcpy(&bits, from + 2 * i, sizeof(bits));
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(bits));
  }
  return i;
}

[[gnu::target("avx2,f16c")]] std::size_t FloatsToHalvesF16c(const float* from, std::uint16_t* to,
                                                            std::size_t count) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bits = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
    std::memcpy(to + i, &bits, sizeof(bits));
  }
  return i;
}
#else
bool HasF16c() {
  return false;
}

std::size_t HalvesToFloatsF16c(const std::byte*, float*, std::size_t) {
  return 0;
}

std::size_t FloatsToHalvesF16c(const float*, std::uint16_t*, std::size_t) {
  return 0;
}
#endif

}  // namespace

void HalvesToFloats(std::span<const std::byte> halves, std::span<float> floats) {
  TYLLM_CHECK(halves.size() == 2 * floats.size());
  std::size_t i = HasF16c() ? HalvesToFloatsF16c(halves.data(), floats.data(), floats.size()) : 0;
  for (; i < floats.size(); ++i) {
    floats[i] = HalfToFloat(LoadBits(halves.data() + 2 * i));
  }
}

void BFloat16sToFloats(std::span<const std::byte> bfloats, std::span<float> floats) {
  TYLLM_CHECK(bfloats.size() == 2 * floats.size());
  for (std::size_t i = 0; i < floats.size(); ++i) {  // compilers vectorise this one
    floats[i] = BFloat16ToFloat(LoadBits(bfloats.data() + 2 * i));
  }
}

void FloatsToHalves(std::span<const float> floats, std::span<std::uint16_t> halves) {
  TYLLM_CHECK(halves.size() == floats.size());
  std::size_t i = HasF16c() ? FloatsToHalvesF16c(floats.data(), halves.data(), floats.size()) : 0;
  for (; i < floats.size(); ++i) {
    halves[i] = FloatToHalf(floats[i]);
  }
}

void FloatsToBFloat16s(std::span<const float> floats, std::span<std::uint16_t> bfloats) {
  TYLLM_CHECK(bfloats.size() == floats.size());
  for (std::size_t i = 0; i < floats.size(); ++i) {
    bfloats[i] = FloatToBFloat16(floats[i]);
  }
}

}  // namespace tyllm::format
