// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "worker/model/linear_formats.h"
#include "worker/model/nibbles.h"
#include "worker/model/quantization_config.h"
#include "worker/model/scale_tensor.h"

// The layout of AutoGPTQ and GPTQModel (https://github.com/ModelCloud/GPTQModel,
// nn_modules/qlinear), read only.
namespace tyllm::model {

namespace {

constexpr std::int64_t kPack = 8;

struct GptqConfig {
  std::optional<std::int64_t> bits;
  std::optional<std::int64_t> group_size;
  std::optional<bool> desc_act;
  std::optional<std::string> checkpoint_format;
  std::optional<bool> is_marlin_format;
};

}  // namespace

}  // namespace tyllm::model

template <>
struct tyllm::format::Members<tyllm::model::GptqConfig> {
  using C = tyllm::model::GptqConfig;
  static constexpr auto kTable = std::tuple{
      Member{"bits", &C::bits},
      Member{"group_size", &C::group_size},
      Member{"desc_act", &C::desc_act},
      Member{"checkpoint_format", &C::checkpoint_format},
      Member{"is_marlin_format", &C::is_marlin_format},
  };
};

namespace tyllm::model {

namespace {

Result<LinearTraits> ReadConfig(const format::Json* json, std::string_view what) {
  if (json == nullptr) {
    return InvalidArgument(std::string(what) + " is missing, expected quant_method 'gptq'");
  }
  TYLLM_ASSIGN(const GptqConfig config,
               format::FromJson<GptqConfig>(*json, what, format::UnknownKeys::kIgnore));
  TYLLM_TRY(CheckFourBits(config.bits, what));
  const std::string version = config.checkpoint_format.value_or("gptq");
  if (version != "gptq" && version != "gptq_v2") {
    return Unimplemented(std::string(what) + ".checkpoint_format is '" + version.substr(0, 80) +
                         "', supported are 'gptq' and 'gptq_v2'");
  }
  if (config.is_marlin_format.value_or(false)) {
    return Unimplemented(std::string(what) +
                         ".is_marlin_format is true; supported are only weights that are not "
                         "repacked for a kernel");
  }
  LinearTraits traits;
  TYLLM_ASSIGN(traits.group, CheckedGroup(config.group_size, what));
  traits.zero_offset = version == "gptq" ? 1 : 0;
  traits.needs_order = config.desc_act.value_or(false);
  return traits;
}

Status CheckSize(const LinearSize& size) {
  if (size.out >= 1 && size.out % kPack == 0 && size.in >= 1 && size.in % kPack == 0 &&
      size.group >= 1 && size.in % size.group == 0) {
    return OkStatus();
  }
  return InvalidArgument("a linear layer of " + std::to_string(size.in) + " inputs and " +
                         std::to_string(size.out) + " outputs in groups of " +
                         std::to_string(size.group) +
                         " cannot be stored as GPTQ does, expected multiples of 8, and inputs "
                         "that the group size divides");
}

std::vector<PartSpec> Parts(const LinearSize& size, const LinearTraits& traits) {
  using format::DType;
  return {
      {LinearPart::kWeight, ".qweight", {DType::kI32}, {size.in / kPack, size.out}},
      {LinearPart::kZeros, ".qzeros", {DType::kI32}, {size.groups(), size.out / kPack}},
      {LinearPart::kScales,
       ".scales",
       {DType::kF16, DType::kBF16, DType::kF32},
       {size.groups(), size.out}},
      {LinearPart::kOrder, ".g_idx", {DType::kI32}, {size.in}, traits.needs_order},
  };
}

std::uint32_t WordAt(std::span<const std::byte> words, std::size_t index) {
  std::uint32_t word = 0;
  std::memcpy(&word, words.data() + index * sizeof(word), sizeof(word));
  return word;
}

/// [in / 8, out] words of eight inputs -> [out, in], by tiles of whole cache lines on both sides.
void Codes(const LinearSize& size, const LinearTensors& tensors, const CodeRegion& region,
           std::uint8_t* q) {
  constexpr std::size_t kTileRows = 8;
  constexpr std::size_t kTileOutputs = 64;
  const std::span<const std::byte> words = tensors[IndexOf(LinearPart::kWeight)]->bytes;
  const auto pitch = static_cast<std::size_t>(size.out);
  const auto first = static_cast<std::size_t>(region.first_column) / kPack * pitch +
                     static_cast<std::size_t>(region.first_row);
  const auto inputs = static_cast<std::size_t>(region.columns);
  const auto outputs = static_cast<std::size_t>(region.rows);
  const std::size_t rows = inputs / kPack;
  for (std::size_t r0 = 0; r0 < rows; r0 += kTileRows) {
    for (std::size_t o0 = 0; o0 < outputs; o0 += kTileOutputs) {
      for (std::size_t o = o0; o < std::min(outputs, o0 + kTileOutputs); ++o) {
        for (std::size_t r = r0; r < std::min(rows, r0 + kTileRows); ++r) {
          const std::uint64_t spread = SpreadNibbles(WordAt(words, first + r * pitch + o));
          std::memcpy(q + o * inputs + r * kPack, &spread, sizeof(spread));
        }
      }
    }
  }
}

/// [groups, out / 8] words of eight outputs -> [out, groups]. Version 1 took 1 off every zero point
/// modulo 16 before it stored them.
void UnpackZeros(std::span<const std::byte> words, const LinearSize& size, unsigned offset,
                 std::uint8_t* zero) {
  const auto groups = static_cast<std::size_t>(size.groups());
  const auto row = static_cast<std::size_t>(size.out / kPack);
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t w = 0; w < row; ++w) {
      const std::uint32_t word = WordAt(words, g * row + w);
      for (std::size_t k = 0; k < kPack; ++k) {
        const std::uint32_t stored = word >> (4 * k);
        zero[(w * kPack + k) * groups + g] = static_cast<std::uint8_t>((stored + offset) & 15U);
      }
    }
  }
}

Result<QuantizedMatrix> Grids(const LinearSize& size, const LinearTraits& traits,
                              const LinearTensors& tensors) {
  QuantizedMatrix matrix{size.out, size.in, size.group, {}, {}, {}};
  const auto outputs = static_cast<std::size_t>(size.out);
  const auto groups = static_cast<std::size_t>(size.groups());
  matrix.zero.resize(outputs * groups);
  matrix.scale.resize(outputs * groups);
  UnpackZeros(tensors[IndexOf(LinearPart::kZeros)]->bytes, size, traits.zero_offset,
              matrix.zero.data());
  TYLLM_ASSIGN(const std::vector<std::uint16_t> scales,
               ReadScales(*tensors[IndexOf(LinearPart::kScales)]));
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t o = 0; o < outputs; ++o) {
      matrix.scale[o * groups + g] = scales[g * outputs + o];
    }
  }
  return matrix;
}

}  // namespace

constexpr LinearFormat kGptqFormat{
    .format = CheckpointFormat::kGptq,
    .quant_method = "gptq",
    .weight_key = ".qweight",
    .bias_key = ".bias",
    .scales_key = ".scales",
    .group_axis = 0,
    .read_config = ReadConfig,
    .check_size = CheckSize,
    .parts = Parts,
    .grids = Grids,
    .codes = Codes,
    .pack = nullptr,
    .config = nullptr,
};

}  // namespace tyllm::model
