// SPDX-License-Identifier: Apache-2.0
#include "worker/model/awq_gemm.h"

#include "worker/model/linear_formats.h"
#include "worker/model/quantization_config.h"

namespace tyllm::model {

namespace {

constexpr AwqGemmKeys kKeys{".qweight", ".qzeros", ".scales"};

/// The keys of AutoAWQ and transformers.
struct AwqConfig {
  std::optional<std::int64_t> bits;
  std::optional<std::int64_t> w_bit;  ///< AutoAWQ's own spelling of bits
  std::optional<std::int64_t> group_size;
  std::optional<std::int64_t> q_group_size;  ///< AutoAWQ's own spelling of group_size
  std::optional<bool> zero_point;
  std::optional<std::string> version;
};

}  // namespace

}  // namespace tyllm::model

template <>
struct tyllm::format::Members<tyllm::model::AwqConfig> {
  using C = tyllm::model::AwqConfig;
  static constexpr auto kTable = std::tuple{
      Member{"bits", &C::bits},
      Member{"w_bit", &C::w_bit},
      Member{"group_size", &C::group_size},
      Member{"q_group_size", &C::q_group_size},
      Member{"zero_point", &C::zero_point},
      Member{"version", &C::version},
  };
};

namespace tyllm::model {

namespace {

Result<LinearTraits> ReadConfig(const format::Json* json, std::string_view what) {
  if (json == nullptr) {
    return LinearTraits{};
  }
  TYLLM_ASSIGN(const AwqConfig config,
               format::FromJson<AwqConfig>(*json, what, format::UnknownKeys::kIgnore));
  TYLLM_TRY(CheckFourBits(config.bits ? config.bits : config.w_bit, what));
  if (!config.zero_point.value_or(true)) {
    return Unimplemented(std::string(what) + ".zero_point is false, supported is only true");
  }
  if (const std::string version = config.version.value_or("gemm"); !SameWord(version, "gemm")) {
    return Unimplemented(std::string(what) + ".version is '" + version.substr(0, 80) +
                         "', supported is only 'gemm'");
  }
  LinearTraits traits;
  TYLLM_ASSIGN(traits.group,
               CheckedGroup(config.group_size ? config.group_size : config.q_group_size, what));
  return traits;
}

std::vector<PartSpec> Parts(const LinearSize& size, const LinearTraits& /*traits*/) {
  return AwqGemmParts(size, kKeys);
}

Result<std::vector<PackedPart>> Pack(const QuantizedMatrix& matrix) {
  return PackAwqGemm(matrix, kKeys);
}

/// What AutoAWQ writes. A list that names some modules and not all would be worse than none: vLLM
/// infers them only where there is no list.
format::Json Config(std::int64_t group, const FloatModules& kept) {
  std::vector<std::string> modules = kept.linears;
  if (kept.visual_tower) {
    // Substrings for vLLM and transformers 4, beginnings for transformers 5.
    modules.insert(modules.begin(), {"visual", "model.visual"});
  }
  format::Json config = format::Json::object();
  config["quant_method"] = "awq";
  config["zero_point"] = true;
  config["group_size"] = group;
  config["bits"] = 4;
  config["version"] = "gemm";
  config["modules_to_not_convert"] = modules.empty() ? format::Json() : format::Json(modules);
  return config;
}

}  // namespace

constexpr LinearFormat kAwqGemmFormat{
    .format = CheckpointFormat::kAwqGemm,
    .quant_method = "awq",
    .weight_key = kKeys.weight,
    .bias_key = ".bias",
    .scales_key = kKeys.scales,
    .group_axis = 0,
    .words = WordLayout::kAwqGemm,
    .read_config = ReadConfig,
    .check_size = CheckAwqGemmSize,
    .parts = Parts,
    .grids = AwqGemmGrids,
    .codes = AwqGemmCodes,
    .pack = Pack,
    .config = Config,
};

}  // namespace tyllm::model
