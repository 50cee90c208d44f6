// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/format/json.h"

namespace tyllm::model {

/// What config.json says under `quantization_config`, in the keys of AutoAWQ and transformers.
struct QuantizationConfig {
  std::optional<std::string> quant_method;
  std::optional<std::int64_t> bits;
  std::optional<std::int64_t> w_bit;  ///< AutoAWQ's own spelling of bits
  std::optional<std::int64_t> group_size;
  std::optional<std::int64_t> q_group_size;  ///< AutoAWQ's own spelling of group_size
  std::optional<bool> zero_point;
  std::optional<std::string> version;

  std::optional<std::int64_t> GroupSize() const { return group_size ? group_size : q_group_size; }
};

/// Nothing when the key is absent or null. `what` names the file.
Result<std::optional<QuantizationConfig>> ReadQuantizationConfig(const format::Json& config,
                                                                 std::string_view what);

/// kUnimplemented for what is not AWQ in the GEMM layout with 4 bits and zero points. Not asked of
/// AMTC checkpoints: their tensors have names of their own, and only a converter writes these keys.
Status CheckAwqGemmConfig(const QuantizationConfig& config, std::string_view what);

}  // namespace tyllm::model
