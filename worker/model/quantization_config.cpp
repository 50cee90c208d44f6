// SPDX-License-Identifier: Apache-2.0
#include "worker/model/quantization_config.h"

#include <algorithm>
#include <cctype>

namespace tyllm::format {

template <>
struct Members<model::QuantizationConfig> {
  using C = model::QuantizationConfig;
  static constexpr auto kTable = std::tuple{Member{"quant_method", &C::quant_method},
                                            Member{"bits", &C::bits},
                                            Member{"w_bit", &C::w_bit},
                                            Member{"group_size", &C::group_size},
                                            Member{"q_group_size", &C::q_group_size},
                                            Member{"zero_point", &C::zero_point},
                                            Member{"version", &C::version}};
};

}  // namespace tyllm::format

namespace tyllm::model {

namespace {

/// The method's name in config.json; AutoAWQ writes lower case, older versions did not.
bool SameWord(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

}  // namespace

Status CheckAwqGemmConfig(const QuantizationConfig& config, std::string_view file) {
  const std::string what = std::string(file) + ".quantization_config";
  if (!SameWord(config.quant_method.value_or(""), "awq")) {
    return Unimplemented(what + ".quant_method is '" +
                         config.quant_method.value_or("").substr(0, 80) +
                         "', supported is only 'awq'");
  }
  const std::int64_t bits = config.bits.value_or(config.w_bit.value_or(4));
  if (bits != 4) {
    return Unimplemented(what + ".bits is " + std::to_string(bits) + ", supported is only 4");
  }
  if (!config.zero_point.value_or(true)) {
    return Unimplemented(what + ".zero_point is false, supported is only true");
  }
  if (!SameWord(config.version.value_or("gemm"), "gemm")) {
    return Unimplemented(what + ".version is '" + config.version->substr(0, 80) +
                         "', supported is only 'gemm'");
  }
  if (config.GroupSize().value_or(1) < 1) {
    return Unimplemented(what + ".group_size is " + std::to_string(*config.GroupSize()) +
                         ", supported are 1 and more");
  }
  return OkStatus();
}

Result<std::optional<QuantizationConfig>> ReadQuantizationConfig(const format::Json& config,
                                                                 std::string_view what) {
  const auto it = config.find("quantization_config");
  if (it == config.end() || it->is_null()) {
    return std::optional<QuantizationConfig>();
  }
  const std::string key = std::string(what) + ".quantization_config";
  TYLLM_ASSIGN(const QuantizationConfig read,
               format::FromJson<QuantizationConfig>(*it, key, format::UnknownKeys::kIgnore));
  return std::optional(read);
}

}  // namespace tyllm::model
