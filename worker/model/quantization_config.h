// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/file_system.h"
#include "common/format/json.h"

namespace tyllm::model {

/// How a model directory says it is quantized. Each format reads the rest of it for itself
/// (LinearFormat::read_config).
struct QuantizationConfig {
  std::string method;  ///< quant_method in lower case; empty when absent
  std::string what;    ///< where it stands, for messages: "m/config.json.quantization_config"
  format::Json json;   ///< an object
  std::string file;    ///< the name of a file of its own; empty: config.json
};

/// `quantization_config` of config.json (absent or null: none); `file` names it in messages.
Result<std::optional<QuantizationConfig>> ReadQuantizationConfig(const format::Json& config,
                                                                 std::string_view file);

/// The same, and where config.json says nothing the files of their own that older quantizers wrote:
/// quant_config.json (AutoAWQ) and quantize_config.json (AutoGPTQ).
Result<std::optional<QuantizationConfig>> FindQuantizationConfig(const format::Json& config,
                                                                 const Path& directory);

/// Whether a file of a model directory is one of these.
bool IsQuantizationFile(const Path& file);

// What the formats' readers share. `what` is QuantizationConfig::what.

/// Equal but for the case of letters, in which writers differ.
bool SameWord(std::string_view a, std::string_view b);
/// kUnimplemented unless `bits` is 4 or absent.
Status CheckFourBits(std::optional<std::int64_t> bits, std::string_view what);
/// 0 when absent; kUnimplemented below 1 (some quantizers write -1 for one scale a row).
Result<std::int64_t> CheckedGroup(std::optional<std::int64_t> group, std::string_view what);

}  // namespace tyllm::model
