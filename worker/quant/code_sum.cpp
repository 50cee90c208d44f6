// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/code_sum.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <span>

#include "worker/quant/code_mix.h"

namespace tyllm::quant {

namespace {

/// The last bytes are filled up with zeros.
void AddArray(std::span<const std::byte> bytes, std::uint64_t array, CodeSum& sum) {
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min(sizeof(word), bytes.size() - at));
    const CodeTerm term = TermOf(word, array, at / sizeof(word));
    sum.low += term.low;
    sum.high += term.high;
  }
}

}  // namespace

std::string CodeSum::Hex() const {
  std::array<char, 33> digits{};
  std::snprintf(digits.data(), digits.size(), "%016" PRIx64 "%016" PRIx64, high, low);
  return digits.data();
}

CodeSum SumOfCodes(const model::QuantizedMatrix& matrix) {
  CodeSum sum;
  AddArray(std::as_bytes(std::span(matrix.q)), 0, sum);
  AddArray(std::as_bytes(std::span(matrix.zero)), 1, sum);
  AddArray(std::as_bytes(std::span(matrix.scale)), 2, sum);
  return sum;
}

}  // namespace tyllm::quant
