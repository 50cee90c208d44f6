// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/format/float16.h"
#include "common/format/safetensors.h"
#include "worker/model/checkpoint_format.h"
#include "worker/model/quantized_matrix.h"

// Every format of quantized layers once more, element by element as docs/formats/checkpoints.md
// describes them, and with none of the product's code for them.
namespace tyllm::testing {

/// One tensor of a model that a test makes up.
struct MadeTensor {
  format::DType dtype = format::DType::kF16;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

template <typename T>
std::vector<std::byte> BytesOf(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

/// How a format may differ within itself.
struct StorageVariant {
  model::CheckpointFormat format = model::CheckpointFormat::kFloat;
  bool symmetric = false;      ///< compressed-tensors: no zero points; all of the matrix must be 8
  bool gptq_v2 = false;        ///< zero points as they are
  bool bfloat_scales = false;  ///< scales must be exact in bfloat16
};

namespace internal {

/// [rows, columns] words; nibble i of word (r, c) is `number(r, c, i)`.
inline MadeTensor NaiveWords(
    std::int64_t rows, std::int64_t columns,
    const std::function<unsigned(std::int64_t, std::int64_t, std::int64_t)>& number) {
  std::vector<std::uint32_t> words;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      std::uint32_t word = 0;
      for (std::int64_t i = 0; i < 8; ++i) {
        word |= (number(r, c, i) & 15U) << static_cast<unsigned>(4 * i);
      }
      words.push_back(word);
    }
  }
  return {format::DType::kI32, {rows, columns}, BytesOf(words)};
}

inline MadeTensor NaiveScales(
    std::int64_t rows, std::int64_t columns, bool bfloat,
    const std::function<std::uint16_t(std::int64_t, std::int64_t)>& half) {
  std::vector<std::uint16_t> scales;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const float scale = format::HalfToFloat(half(r, c));
      std::uint32_t bits = 0;
      std::memcpy(&bits, &scale, sizeof(bits));
      scales.push_back(bfloat ? static_cast<std::uint16_t>(bits >> 16U) : half(r, c));
    }
  }
  return {bfloat ? format::DType::kBF16 : format::DType::kF16, {rows, columns}, BytesOf(scales)};
}

}  // namespace internal

/// The tensors of a layer by what follows the module's name.
inline std::map<std::string, MadeTensor> NaiveTensors(const StorageVariant& variant,
                                                      const model::QuantizedMatrix& m) {
  using internal::NaiveScales;
  using internal::NaiveWords;
  using model::CheckpointFormat;
  const std::int64_t groups = m.columns / m.group;
  const auto q = [&](std::int64_t out, std::int64_t in) {
    return static_cast<unsigned>(m.q[static_cast<std::size_t>(out * m.columns + in)]);
  };
  const auto zero = [&](std::int64_t out, std::int64_t group) {
    return static_cast<unsigned>(m.zero[static_cast<std::size_t>(out * groups + group)]);
  };
  const auto scale = [&](std::int64_t out, std::int64_t group) {
    return m.scale[static_cast<std::size_t>(out * groups + group)];
  };
  const auto scale_t = [&](std::int64_t group, std::int64_t out) { return scale(out, group); };
  const bool bfloat = variant.bfloat_scales;
  std::map<std::string, MadeTensor> made;
  if (variant.format == CheckpointFormat::kAmtc || variant.format == CheckpointFormat::kAwqGemm) {
    static constexpr std::int64_t kOrder[] = {0, 2, 4, 6, 1, 3, 5, 7};
    const bool amtc = variant.format == CheckpointFormat::kAmtc;
    made[amtc ? ".quanted_layer.quanted_weight" : ".qweight"] = NaiveWords(
        m.columns, m.rows / 8, [&](auto r, auto c, auto i) { return q(8 * c + kOrder[i], r); });
    made[amtc ? ".quanted_layer.zero" : ".qzeros"] = NaiveWords(
        groups, m.rows / 8, [&](auto r, auto c, auto i) { return zero(8 * c + kOrder[i], r); });
    made[amtc ? ".quanted_layer.weight_scale" : ".scales"] =
        NaiveScales(groups, m.rows, bfloat, scale_t);
  }
  if (variant.format == CheckpointFormat::kCompressedTensors) {
    made[".weight_packed"] =
        NaiveWords(m.rows, m.columns / 8, [&](auto r, auto c, auto i) { return q(r, 8 * c + i); });
    made[".weight_scale"] = NaiveScales(m.rows, groups, bfloat, scale);
    made[".weight_shape"] = {
        format::DType::kI64, {2}, BytesOf(std::vector<std::int64_t>{m.rows, m.columns})};
    if (!variant.symmetric) {
      made[".weight_zero_point"] = NaiveWords(
          m.rows / 8, groups, [&](auto r, auto c, auto i) { return zero(8 * r + i, c); });
    }
  }
  if (variant.format == CheckpointFormat::kGptq) {
    const unsigned offset = variant.gptq_v2 ? 0 : 15;  // minus one, modulo 16
    made[".qweight"] =
        NaiveWords(m.columns / 8, m.rows, [&](auto r, auto c, auto i) { return q(c, 8 * r + i); });
    made[".qzeros"] = NaiveWords(
        groups, m.rows / 8, [&](auto r, auto c, auto i) { return zero(8 * c + i, r) + offset; });
    made[".scales"] = NaiveScales(groups, m.rows, bfloat, scale_t);
    std::vector<std::int32_t> order;
    for (std::int64_t i = 0; i < m.columns; ++i) {
      order.push_back(static_cast<std::int32_t>(i / m.group));
    }
    made[".g_idx"] = {format::DType::kI32, {m.columns}, BytesOf(order)};
  }
  return made;
}

/// quantization_config of such a model as its writers write it.
inline format::Json NaiveConfig(const StorageVariant& variant, std::int64_t group) {
  switch (variant.format) {
    case model::CheckpointFormat::kCompressedTensors:
      return format::Json::parse(R"({"quant_method": "compressed-tensors",
        "format": "pack-quantized", "quantization_status": "compressed", "ignore": ["lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4,
        "type": "int", "strategy": "group", "dynamic": false, "actorder": null, "symmetric": )" +
                                 std::string(variant.symmetric ? "true" : "false") +
                                 R"(, "group_size": )" + std::to_string(group) +
                                 R"(}, "input_activations": null}}})");
    case model::CheckpointFormat::kGptq:
      return {
          {"quant_method", "gptq"}, {"bits", 4},
          {"group_size", group},    {"sym", false},
          {"desc_act", false},      {"checkpoint_format", variant.gptq_v2 ? "gptq_v2" : "gptq"}};
    case model::CheckpointFormat::kFloat:
    case model::CheckpointFormat::kAmtc:
    case model::CheckpointFormat::kAwqGemm:
      break;
  }
  return {{"quant_method", "awq"},
          {"bits", 4},
          {"group_size", group},
          {"zero_point", true},
          {"version", "gemm"}};
}

}  // namespace tyllm::testing
