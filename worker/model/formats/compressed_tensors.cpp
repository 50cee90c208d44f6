// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <map>

#include "worker/model/linear_formats.h"
#include "worker/model/nibbles.h"
#include "worker/model/quantization_config.h"
#include "worker/model/scale_tensor.h"

// The layout "pack-quantized" of compressed-tensors
// (https://github.com/vllm-project/compressed-tensors, compressors/pack_quantized), which
// llm-compressor writes and vLLM loads. Its integers are signed, -8..7, and stored plus 8: the
// nibbles are those of every other format here.
namespace tyllm::model {

namespace {

constexpr std::int64_t kPack = 8;
/// Zero point of a layer that stores none.
constexpr std::uint8_t kMiddle = 8;

struct WeightArguments {
  std::optional<std::int64_t> num_bits;
  std::optional<std::string> type;
  std::optional<bool> symmetric;
  std::optional<std::string> strategy;
  std::optional<std::int64_t> group_size;
};

struct Scheme {
  std::optional<WeightArguments> weights;
  std::optional<std::string> format;
  format::Json input_activations;
};

struct CompressedConfig {
  std::optional<std::string> format;
  std::map<std::string, Scheme> config_groups;
  format::Json transform_config;
};

}  // namespace

}  // namespace tyllm::model

template <>
struct tyllm::format::Members<tyllm::model::WeightArguments> {
  using W = tyllm::model::WeightArguments;
  static constexpr auto kTable = std::tuple{
      Member{"num_bits", &W::num_bits},     Member{"type", &W::type},
      Member{"symmetric", &W::symmetric},   Member{"strategy", &W::strategy},
      Member{"group_size", &W::group_size},
  };
};

template <>
struct tyllm::format::Members<tyllm::model::Scheme> {
  using S = tyllm::model::Scheme;
  static constexpr auto kTable =
      std::tuple{Member{"weights", &S::weights}, Member{"format", &S::format},
                 Member{"input_activations", &S::input_activations}};
};

template <>
struct tyllm::format::Members<tyllm::model::CompressedConfig> {
  using C = tyllm::model::CompressedConfig;
  static constexpr auto kTable =
      std::tuple{Member{"format", &C::format}, Member{"config_groups", &C::config_groups, true},
                 Member{"transform_config", &C::transform_config}};
};

namespace tyllm::model {

namespace {

Status CheckWord(const std::optional<std::string>& found, std::string_view expected,
                 const std::string& what) {
  if (found.value_or(std::string(expected)) == expected) {
    return OkStatus();
  }
  return Unimplemented(what + " is '" + found->substr(0, 80) + "', supported is only '" +
                       std::string(expected) + "'");
}

bool IsGiven(const format::Json& json) {
  return !json.is_null() && !(json.is_structured() && json.empty());
}

Result<LinearTraits> ReadScheme(const Scheme& scheme, const std::string& what) {
  TYLLM_TRY(CheckWord(scheme.format, "pack-quantized", what + ".format"));
  if (IsGiven(scheme.input_activations)) {
    return Unimplemented(what +
                         ".input_activations are quantized too, supported are only weights "
                         "(W4A16)");
  }
  if (!scheme.weights) {
    return Unimplemented(what + " has no weights, expected 4-bit weights");
  }
  const WeightArguments& weights = *scheme.weights;
  const std::string key = what + ".weights";
  if (weights.num_bits.value_or(0) != 4) {
    return Unimplemented(key + ".num_bits is " + std::to_string(weights.num_bits.value_or(0)) +
                         ", supported is only 4");
  }
  TYLLM_TRY(CheckWord(weights.type, "int", key + ".type"));
  TYLLM_TRY(CheckWord(weights.strategy, "group", key + ".strategy"));
  LinearTraits traits;
  TYLLM_ASSIGN(traits.group, CheckedGroup(weights.group_size, key));
  traits.symmetric = weights.symmetric.value_or(true);
  return traits;
}

Result<LinearTraits> ReadConfig(const format::Json* json, std::string_view what) {
  if (json == nullptr) {
    return InvalidArgument(std::string(what) +
                           " is missing, but linear layers are stored as compressed-tensors does; "
                           "copy config.json from where the weights come from");
  }
  TYLLM_ASSIGN(const CompressedConfig config,
               format::FromJson<CompressedConfig>(*json, what, format::UnknownKeys::kIgnore));
  TYLLM_TRY(CheckWord(config.format, "pack-quantized", std::string(what) + ".format"));
  if (IsGiven(config.transform_config)) {
    return Unimplemented(std::string(what) +
                         ".transform_config changes what layers compute; it is not supported");
  }
  std::optional<LinearTraits> traits;
  for (const auto& [name, scheme] : config.config_groups) {
    const std::string group = std::string(what) + ".config_groups." + name;
    TYLLM_ASSIGN(const LinearTraits read, ReadScheme(scheme, group));
    if (traits && (traits->group != read.group || traits->symmetric != read.symmetric)) {
      return Unimplemented(group +
                           ".weights differ from those of another group in group_size or "
                           "symmetric; supported is one kind of weights a model");
    }
    traits = read;
  }
  if (!traits) {
    return InvalidArgument(std::string(what) + ".config_groups is empty, expected one group");
  }
  return *traits;
}

Status CheckSize(const LinearSize& size) {
  if (size.out < 1 || size.out % kPack != 0) {
    return InvalidArgument("a linear layer with " + std::to_string(size.out) +
                           " outputs cannot be stored in 4 bits, expected a multiple of 8; keep "
                           "it in floating point");
  }
  if (size.in < 1 || size.in % kPack != 0 || size.group < 1 || size.in % size.group != 0) {
    return InvalidArgument("a linear layer with " + std::to_string(size.in) +
                           " inputs cannot be stored in 4 bits with group size " +
                           std::to_string(size.group) +
                           ", expected a multiple of 8 and of the group size; choose another "
                           "group size or keep it in floating point");
  }
  return OkStatus();
}

std::vector<PartSpec> Parts(const LinearSize& size, const LinearTraits& traits) {
  using format::DType;
  std::vector<PartSpec> parts{
      {LinearPart::kWeight, ".weight_packed", {DType::kI32}, {size.out, size.in / kPack}},
      {LinearPart::kScales,
       ".weight_scale",
       {DType::kF16, DType::kBF16, DType::kF32},
       {size.out, size.groups()}},
      {LinearPart::kShape, ".weight_shape", {DType::kI64, DType::kI32}, {2}},
      {LinearPart::kOrder, ".weight_g_idx", {DType::kI32}, {size.in}, false},
  };
  if (!traits.symmetric) {
    parts.push_back({LinearPart::kZeros,
                     ".weight_zero_point",
                     {DType::kI32},
                     {size.out / kPack, size.groups()}});
  }
  return parts;
}

/// [out, in / 8] words, lowest nibble first, are [out, in / 2] bytes.
void Codes(const LinearSize& size, const LinearTensors& tensors, const CodeRegion& region,
           std::uint8_t* q) {
  const std::byte* const packed = tensors[IndexOf(LinearPart::kWeight)]->bytes.data();
  for (std::int64_t r = region.first_row; r < region.first_row + region.rows; ++r) {
    const std::byte* from = packed + (r * size.in + region.first_column) / 2;
    for (std::int64_t c = 0; c < region.columns; c += kPack) {
      std::uint32_t word = 0;
      std::memcpy(&word, from, sizeof(word));
      const std::uint64_t spread = SpreadNibbles(word);
      std::memcpy(q, &spread, sizeof(spread));
      from += sizeof(word);
      q += sizeof(spread);
    }
  }
}

std::vector<std::byte> PackWeights(std::span<const std::uint8_t> q) {
  std::vector<std::byte> packed(q.size() / 2);
  for (std::size_t i = 0; i < packed.size(); i += sizeof(std::uint32_t)) {
    std::uint64_t spread = 0;
    std::memcpy(&spread, q.data() + 2 * i, sizeof(spread));
    const std::uint32_t word = GatherNibbles(spread);
    std::memcpy(packed.data() + i, &word, sizeof(word));
  }
  return packed;
}

/// [out / 8, groups] words: eight outputs of one group each.
void UnpackZeros(std::span<const std::byte> packed, std::size_t groups,
                 std::vector<std::uint8_t>& zero) {
  for (std::size_t i = 0; i * sizeof(std::uint32_t) < packed.size(); ++i) {
    std::uint32_t word = 0;
    std::memcpy(&word, packed.data() + i * sizeof(word), sizeof(word));
    const std::size_t row = i / groups * kPack;
    for (std::size_t k = 0; k < kPack; ++k) {
      zero[(row + k) * groups + i % groups] = static_cast<std::uint8_t>((word >> (4 * k)) & 15U);
    }
  }
}

std::vector<std::byte> PackZeros(const std::vector<std::uint8_t>& zero, std::size_t groups) {
  std::vector<std::byte> packed(zero.size() / 2);
  for (std::size_t i = 0; i * sizeof(std::uint32_t) < packed.size(); ++i) {
    std::uint32_t word = 0;
    const std::size_t row = i / groups * kPack;
    for (std::size_t k = 0; k < kPack; ++k) {
      word |= (zero[(row + k) * groups + i % groups] & 15U) << (4 * k);
    }
    std::memcpy(packed.data() + i * sizeof(word), &word, sizeof(word));
  }
  return packed;
}

/// The two numbers of weight_shape, of either width.
Status CheckShape(const format::TensorView& tensor, const LinearSize& size) {
  std::array<std::int64_t, 2> shape{};
  if (tensor.dtype == format::DType::kI64) {
    std::memcpy(shape.data(), tensor.bytes.data(), sizeof(shape));
  } else {
    std::array<std::int32_t, 2> narrow{};
    std::memcpy(narrow.data(), tensor.bytes.data(), sizeof(narrow));
    shape = {narrow[0], narrow[1]};
  }
  if (shape[0] == size.out && shape[1] == size.in) {
    return OkStatus();
  }
  return InvalidArgument("weight_shape holds " + format::ShapeText(shape) + ", expected " +
                         format::ShapeText(std::array{size.out, size.in}));
}

Result<QuantizedMatrix> Grids(const LinearSize& size, const LinearTraits& traits,
                              const LinearTensors& tensors) {
  TYLLM_TRY(CheckShape(*tensors[IndexOf(LinearPart::kShape)], size));
  QuantizedMatrix matrix{size.out, size.in, size.group, {}, {}, {}};
  TYLLM_ASSIGN(matrix.scale, ReadScales(*tensors[IndexOf(LinearPart::kScales)]));
  matrix.zero.assign(matrix.scale.size(), kMiddle);
  if (!traits.symmetric) {
    UnpackZeros(tensors[IndexOf(LinearPart::kZeros)]->bytes,
                static_cast<std::size_t>(size.groups()), matrix.zero);
  }
  return matrix;
}

Result<std::vector<PackedPart>> Pack(const QuantizedMatrix& matrix) {
  TYLLM_TRY(CheckSize({matrix.rows, matrix.columns, matrix.group}));
  const auto scales = std::as_bytes(std::span(matrix.scale));
  const std::array shape{matrix.rows, matrix.columns};
  const auto shape_bytes = std::as_bytes(std::span(shape));
  std::vector<PackedPart> parts;
  parts.push_back({".weight_packed", PackWeights(matrix.q)});
  parts.push_back({".weight_scale", {scales.begin(), scales.end()}});
  parts.push_back({".weight_shape", {shape_bytes.begin(), shape_bytes.end()}});
  parts.push_back(
      {".weight_zero_point", PackZeros(matrix.zero, static_cast<std::size_t>(matrix.groups()))});
  return parts;
}

format::Json Config(std::int64_t group, const FloatModules& kept) {
  format::Json ignore = format::Json::array({"lm_head"});
  for (const std::string& linear : kept.linears) {
    ignore.push_back(linear);
  }
  if (kept.visual_tower) {
    ignore.push_back("re:.*visual.*");
  }
  const format::Json weights = {{"num_bits", 4},       {"type", "int"},       {"symmetric", false},
                                {"strategy", "group"}, {"group_size", group}, {"dynamic", false},
                                {"actorder", nullptr}, {"observer", "minmax"}};
  return {{"quant_method", "compressed-tensors"},
          {"format", "pack-quantized"},
          {"quantization_status", "compressed"},
          {"global_compression_ratio", nullptr},
          {"ignore", ignore},
          {"kv_cache_scheme", nullptr},
          {"config_groups",
           {{"group_0",
             {{"targets", {"Linear"}},
              {"weights", weights},
              {"input_activations", nullptr},
              {"output_activations", nullptr}}}}}};
}

}  // namespace

constexpr LinearFormat kCompressedTensorsFormat{
    .format = CheckpointFormat::kCompressedTensors,
    .quant_method = "compressed-tensors",
    .weight_key = ".weight_packed",
    .bias_key = ".bias",
    .scales_key = ".weight_scale",
    .group_axis = 1,
    .read_config = ReadConfig,
    .check_size = CheckSize,
    .parts = Parts,
    .grids = Grids,
    .codes = Codes,
    .pack = Pack,
    .config = Config,
};

}  // namespace tyllm::model
