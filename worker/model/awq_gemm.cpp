// SPDX-License-Identifier: Apache-2.0
#include "worker/model/awq_gemm.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "worker/model/scale_tensor.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tyllm::model {

namespace {

/// AwqGemmShift of each column of a word.
constexpr std::array<unsigned, 8> kShift = [] {
  std::array<unsigned, 8> shifts{};
  for (unsigned j = 0; j < shifts.size(); ++j) {
    shifts[j] = AwqGemmShift(j);
  }
  return shifts;
}();

/// Which column has a nibble of a word.
constexpr std::array<std::size_t, 8> kOutput = [] {
  std::array<std::size_t, 8> outputs{};
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    outputs[kShift[j] / 4] = j;
  }
  return outputs;
}();

/// Both directions transpose, so they go by tiles: a cache line of words times 64 input rows
/// touches 128 output rows of one cache line each, all of which stay in the first-level cache.
constexpr std::size_t kTileWords = 16;
constexpr std::size_t kTileInputs = 64;

struct Extent {
  std::size_t begin = 0;
  std::size_t end = 0;

  std::size_t size() const { return end - begin; }
};

/// Calls `word(input row, word column)` for every `Step`th input row from `begin` on and all
/// columns, tile by tile.
template <std::size_t Step, typename Word>
void ForEachWord(std::size_t begin, std::size_t end, Extent words, Word word) {
  static_assert(kTileInputs % Step == 0);
  for (std::size_t w0 = words.begin; w0 < words.end; w0 += kTileWords) {
    const std::size_t w1 = std::min(words.end, w0 + kTileWords);
    for (std::size_t r0 = begin; r0 < end; r0 += kTileInputs) {
      const std::size_t r1 = std::min(end, r0 + kTileInputs);
      for (std::size_t w = w0; w < w1; ++w) {
        for (std::size_t r = r0; r < r1; r += Step) {
          word(r, w);
        }
      }
    }
  }
}

/// Input rows that UnpackWords takes at a time: a register of nibbles.
constexpr std::size_t kRowsAtOnce = 16;

/// Of words [inputs, row] the given columns and inputs -> nibbles [8 * columns, inputs].
void UnpackWordByWord(std::span<const std::byte> words, std::size_t row, Extent columns,
                      Extent inputs, std::uint8_t* nibbles) {
  const auto unpack = [&]<std::size_t Rows>(std::size_t r, std::size_t w) {
    std::array<std::uint32_t, Rows> column;
    for (std::size_t i = 0; i < Rows; ++i) {
      std::memcpy(&column[i], words.data() + ((r + i) * row + w) * sizeof(column[i]),
                  sizeof(column[i]));
    }
    std::uint8_t* out = nibbles + 8 * (w - columns.begin) * inputs.size() + (r - inputs.begin);
    for (const unsigned shift : kShift) {
      std::array<std::uint8_t, Rows> of_output;
      for (std::size_t i = 0; i < Rows; ++i) {
        of_output[i] = static_cast<std::uint8_t>((column[i] >> shift) & 15U);
      }
      std::memcpy(out, of_output.data(), Rows);
      out += inputs.size();
    }
  };
  const std::size_t whole = inputs.begin + inputs.size() / kRowsAtOnce * kRowsAtOnce;
  ForEachWord<kRowsAtOnce>(inputs.begin, whole, columns, [&](std::size_t r, std::size_t w) {
    unpack.template operator()<kRowsAtOnce>(r, w);
  });
  ForEachWord<1>(whole, inputs.end, columns,
                 [&](std::size_t r, std::size_t w) { unpack.template operator()<1>(r, w); });
}

#if defined(__x86_64__)

/// Words that UnpackBlock takes at a time: a register of AVX2.
constexpr std::size_t kWordsAtOnce = 8;

struct Registers {
  __m256i at[kRowsAtOnce];
};

/// The bytes of either lane, [16, 16], become their transpose: four times each register and the one
/// eight behind it are interleaved.
[[gnu::target("avx2")]] void TransposeLanes(Registers& bytes) {
  for (int time = 0; time < 4; ++time) {
    Registers next;
    for (std::size_t i = 0; i < kRowsAtOnce / 2; ++i) {
      next.at[2 * i] = _mm256_unpacklo_epi8(bytes.at[i], bytes.at[i + kRowsAtOnce / 2]);
      next.at[2 * i + 1] = _mm256_unpackhi_epi8(bytes.at[i], bytes.at[i + kRowsAtOnce / 2]);
    }
    bytes = next;
  }
}

/// Eight words of sixteen inputs, `row` words apart -> 64 outputs, `pitch` apart.
[[gnu::target("avx2")]] void UnpackBlock(const std::byte* words, std::size_t row, std::uint8_t* out,
                                         std::size_t pitch) {
  const __m256i low = _mm256_set1_epi8(0x0F);
  for (unsigned odd = 0; odd < 2; ++odd) {  // of the nibbles of a word
    Registers bytes;
    for (std::size_t i = 0; i < kRowsAtOnce; ++i) {
      const __m256i word =
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words + i * row * 4));
      bytes.at[i] = _mm256_and_si256(odd == 0 ? word : _mm256_srli_epi32(word, 4), low);
    }
    TransposeLanes(bytes);
    for (std::size_t i = 0; i < kRowsAtOnce; ++i) {
      std::uint8_t* const to = out + (i / 4 * 8 + kOutput[2 * (i % 4) + odd]) * pitch;
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(bytes.at[i]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 32 * pitch),
                       _mm256_extracti128_si256(bytes.at[i], 1));
    }
  }
}

bool HasAvx2() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}

/// UnpackWordByWord for the first columns, those that fill registers; gives their number. Inputs
/// are a multiple of kRowsAtOnce.
std::size_t UnpackBlocks(std::span<const std::byte> words, std::size_t row, Extent columns,
                         Extent inputs, std::uint8_t* nibbles) {
  if (!HasAvx2()) {
    return 0;
  }
  // A line of the cache of each output is put together apart: outputs that are a power of two apart
  // would drive each other out of it.
  constexpr std::size_t kOutputs = kWordsAtOnce * 8;
  alignas(64) std::array<std::uint8_t, kOutputs * kTileInputs> tile;
  const std::size_t whole = columns.size() / kWordsAtOnce * kWordsAtOnce;
  for (std::size_t r0 = 0; r0 < inputs.size(); r0 += kTileInputs) {
    const std::size_t some = std::min(kTileInputs, inputs.size() - r0);
    for (std::size_t w = 0; w < whole; w += kWordsAtOnce) {
      for (std::size_t r = 0; r < some; r += kRowsAtOnce) {
        const std::size_t from = (inputs.begin + r0 + r) * row + columns.begin + w;
        UnpackBlock(words.data() + from * sizeof(std::uint32_t), row, tile.data() + r, kTileInputs);
      }
      for (std::size_t output = 0; output < kOutputs; ++output) {
        std::uint8_t* const to = nibbles + (8 * w + output) * inputs.size() + r0;
        const std::uint8_t* const line = tile.data() + output * kTileInputs;
        if (some == kTileInputs) {
          std::memcpy(to, line, kTileInputs);
        } else {
          std::memcpy(to, line, some);
        }
      }
    }
  }
  return whole;
}

#else

std::size_t UnpackBlocks(std::span<const std::byte>, std::size_t, Extent, Extent, std::uint8_t*) {
  return 0;
}

#endif

void UnpackWords(std::span<const std::byte> words, std::size_t row, Extent columns, Extent inputs,
                 std::uint8_t* nibbles) {
  const std::size_t whole =
      inputs.size() % kRowsAtOnce == 0 ? UnpackBlocks(words, row, columns, inputs, nibbles) : 0;
  // Inputs that fill no register are rare, of zero points: then all are taken one by one.
  UnpackWordByWord(words, row, {columns.begin + whole, columns.end}, inputs,
                   nibbles + 8 * whole * inputs.size());
}

std::vector<std::uint32_t> PackWords(const std::uint8_t* nibbles, std::size_t outputs,
                                     std::size_t inputs) {
  const std::size_t row = outputs / 8;
  std::vector<std::uint32_t> words(inputs * row);
  ForEachWord<1>(0, inputs, {0, row}, [&](std::size_t r, std::size_t w) {
    const std::uint8_t* in = nibbles + 8 * w * inputs + r;
    std::uint32_t word = 0;
    for (const unsigned shift : kShift) {
      word |= (*in & 15U) << shift;
      in += inputs;
    }
    words[r * row + w] = word;
  });
  return words;
}

/// [rows, columns] -> [columns, rows]; scales are small.
void TransposeScales(const std::byte* from, std::size_t rows, std::size_t columns,
                     std::uint16_t* to) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      std::memcpy(to + c * rows + r, from + (r * columns + c) * sizeof(*to), sizeof(*to));
    }
  }
}

Status CheckSize(const char* part, std::size_t found, std::size_t expected) {
  if (found == expected) {
    return OkStatus();
  }
  return InvalidArgument(std::string(part) + " have " + std::to_string(found) +
                         " bytes, expected " + std::to_string(expected));
}

}  // namespace

Status CheckAwqGemmShape(std::int64_t out, std::int64_t in, std::int64_t group) {
  if (out < 1 || out % kAwqGemmPack != 0) {
    return InvalidArgument("a linear layer with " + std::to_string(out) +
                           " outputs cannot be stored in 4 bits, expected a multiple of " +
                           std::to_string(kAwqGemmPack) + "; keep it in floating point");
  }
  if (in < 1 || group < 1 || in % group != 0) {
    return InvalidArgument("group size " + std::to_string(group) + " does not divide the " +
                           std::to_string(in) +
                           " inputs of a linear layer; choose another group size or keep it in "
                           "floating point");
  }
  return OkStatus();
}

Result<AwqGemmTensors> PackAwqGemm(const QuantizedMatrix& matrix) {
  TYLLM_TRY(CheckAwqGemmShape(matrix.rows, matrix.columns, matrix.group));
  const auto out = static_cast<std::size_t>(matrix.rows);
  const auto in = static_cast<std::size_t>(matrix.columns);
  const auto groups = static_cast<std::size_t>(matrix.groups());
  TYLLM_CHECK(matrix.q.size() == out * in && matrix.zero.size() == out * groups &&
              matrix.scale.size() == out * groups);
  AwqGemmTensors tensors;
  tensors.qweight = PackWords(matrix.q.data(), out, in);
  tensors.qzeros = PackWords(matrix.zero.data(), out, groups);
  tensors.scales.resize(matrix.scale.size());
  TransposeScales(std::as_bytes(std::span(matrix.scale)).data(), out, groups,
                  tensors.scales.data());
  return tensors;
}

Result<QuantizedMatrix> UnpackAwqGemm(std::int64_t out, std::int64_t in, std::int64_t group,
                                      const AwqGemmBytes& bytes) {
  TYLLM_TRY(CheckAwqGemmShape(out, in, group));
  QuantizedMatrix matrix;
  matrix.rows = out;
  matrix.columns = in;
  matrix.group = group;
  const auto outputs = static_cast<std::size_t>(out);
  const auto inputs = static_cast<std::size_t>(in);
  const auto groups = static_cast<std::size_t>(matrix.groups());
  TYLLM_TRY(CheckSize("packed weights", bytes.qweight.size(), inputs * outputs / 2));
  TYLLM_TRY(CheckSize("packed zero points", bytes.qzeros.size(), groups * outputs / 2));
  TYLLM_TRY(CheckSize("scales", bytes.scales.size(), groups * outputs * 2));
  const Extent words{0, outputs / kAwqGemmPack};
  matrix.q.resize(outputs * inputs);
  matrix.zero.resize(outputs * groups);
  matrix.scale.resize(outputs * groups);
  UnpackWords(bytes.qweight, words.end, words, {0, inputs}, matrix.q.data());
  UnpackWords(bytes.qzeros, words.end, words, {0, groups}, matrix.zero.data());
  TransposeScales(bytes.scales.data(), groups, outputs, matrix.scale.data());
  return matrix;
}

Status CheckAwqGemmSize(const LinearSize& size) {
  return CheckAwqGemmShape(size.out, size.in, size.group);
}

std::vector<PartSpec> AwqGemmParts(const LinearSize& size, const AwqGemmKeys& keys) {
  using format::DType;
  const std::int64_t words = size.out / kAwqGemmPack;
  return {{LinearPart::kWeight, keys.weight, {DType::kI32}, {size.in, words}},
          {LinearPart::kZeros, keys.zeros, {DType::kI32}, {size.groups(), words}},
          {LinearPart::kScales,
           keys.scales,
           {DType::kF16, DType::kBF16, DType::kF32},
           {size.groups(), size.out}}};
}

Result<QuantizedMatrix> AwqGemmGrids(const LinearSize& size, const LinearTraits& /*traits*/,
                                     const LinearTensors& tensors) {
  TYLLM_TRY(CheckAwqGemmSize(size));
  TYLLM_ASSIGN(const std::vector<std::uint16_t> scales,
               ReadScales(*tensors[IndexOf(LinearPart::kScales)]));
  QuantizedMatrix matrix{size.out, size.in, size.group, {}, {}, {}};
  const auto outputs = static_cast<std::size_t>(size.out);
  const auto groups = static_cast<std::size_t>(size.groups());
  const Extent words{0, outputs / kAwqGemmPack};
  matrix.zero.resize(outputs * groups);
  matrix.scale.resize(outputs * groups);
  UnpackWords(tensors[IndexOf(LinearPart::kZeros)]->bytes, words.end, words, {0, groups},
              matrix.zero.data());
  TransposeScales(std::as_bytes(std::span(scales)).data(), groups, outputs, matrix.scale.data());
  return matrix;
}

void AwqGemmCodes(const LinearSize& size, const LinearTensors& tensors, const CodeRegion& region,
                  std::uint8_t* q) {
  const auto extent = [](std::int64_t first, std::int64_t count) {
    return Extent{static_cast<std::size_t>(first), static_cast<std::size_t>(first + count)};
  };
  UnpackWords(tensors[IndexOf(LinearPart::kWeight)]->bytes,
              static_cast<std::size_t>(size.out / kAwqGemmPack),
              extent(region.first_row / kAwqGemmPack, region.rows / kAwqGemmPack),
              extent(region.first_column, region.columns), q);
}

Result<std::vector<PackedPart>> PackAwqGemm(const QuantizedMatrix& matrix,
                                            const AwqGemmKeys& keys) {
  TYLLM_ASSIGN(const AwqGemmTensors tensors, PackAwqGemm(matrix));
  const auto bytes = [](const auto& values) {
    const auto view = std::as_bytes(std::span(values));
    return std::vector<std::byte>(view.begin(), view.end());
  };
  std::vector<PackedPart> parts;
  parts.push_back({keys.weight, bytes(tensors.qweight)});
  parts.push_back({keys.zeros, bytes(tensors.qzeros)});
  parts.push_back({keys.scales, bytes(tensors.scales)});
  return parts;
}

}  // namespace tyllm::model
