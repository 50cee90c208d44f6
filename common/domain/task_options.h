// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/base/enum_table.h"
#include "common/format/json.h"

// What each kind of task can be asked to do, as plain data: the same structs are filled by `tyllm`,
// sent by `tyllm-client`, stored by the server and read by a worker's job. Inputs (models, texts)
// and devices are not options. Check(...) says what is wrong with values, without looking at any
// file.
namespace tyllm::domain {

enum class QuantizeMethod : std::uint8_t {
  kAwq,      ///< scales and ranges by output errors, each weight to the nearest
  kRtn,      ///< round to nearest: looks at no text
  kAwqGptq,  ///< awq's scales, then each weight makes good the errors of those before it
};

inline constexpr EnumTable<QuantizeMethod, 3> kQuantizeMethodNames(
    "quantization method", {{{QuantizeMethod::kAwq, "awq"},
                             {QuantizeMethod::kRtn, "rtn"},
                             {QuantizeMethod::kAwqGptq, "awq+gptq"}}});

constexpr const auto& NamesOf(QuantizeMethod) {
  return kQuantizeMethodNames;
}

/// Layout of a quantized checkpoint that is written.
enum class QuantizedFormat : std::uint8_t { kAmtc, kAwq, kCompressedTensors };

inline constexpr EnumTable<QuantizedFormat, 3> kQuantizedFormatNames(
    "checkpoint format", {{{QuantizedFormat::kAmtc, "amtc"},
                           {QuantizedFormat::kAwq, "awq"},
                           {QuantizedFormat::kCompressedTensors, "compressed-tensors"}}});

constexpr const auto& NamesOf(QuantizedFormat) {
  return kQuantizedFormatNames;
}

struct QuantizeOptions {
  QuantizeMethod method = QuantizeMethod::kAwqGptq;
  std::int64_t group_size = 128;
  std::int64_t samples = 128;  ///< calibration sequences
  std::int64_t seq_len = 512;  ///< tokens of each
  bool clip = true;
  std::vector<std::string> keep_float;  ///< regular expressions of module names
  QuantizedFormat format = QuantizedFormat::kAmtc;

  bool operator==(const QuantizeOptions&) const = default;
};

struct ConvertOptions {
  QuantizedFormat quant_type = QuantizedFormat::kAwq;

  bool operator==(const ConvertOptions&) const = default;
};

struct EvaluateOptions {
  std::int64_t window = 512;     ///< tokens
  std::int64_t max_windows = 0;  ///< 0: the whole text

  bool operator==(const EvaluateOptions&) const = default;
};

struct CompileOptions {
  std::int64_t dies = 1;
  std::vector<std::int64_t> seq_lens = {1, 8};
  std::int64_t max_kv = 4096;
  bool embedding_as_input = false;
  std::vector<std::int64_t> lm_die_remap;  ///< empty, or exactly 16 numbers
  bool keep_source = false;
  std::string target_cpu = "x86-64-v3";

  bool operator==(const CompileOptions&) const = default;
};

Status Check(const QuantizeOptions& options);
Status Check(const EvaluateOptions& options);
Status Check(const CompileOptions& options);

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::QuantizeOptions> {
  using O = tyllm::domain::QuantizeOptions;
  static constexpr auto kTable = std::tuple{
      Member{"method", &O::method},   Member{"group_size", &O::group_size},
      Member{"samples", &O::samples}, Member{"seq_len", &O::seq_len},
      Member{"clip", &O::clip},       Member{"keep_float", &O::keep_float},
      Member{"format", &O::format},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::ConvertOptions> {
  using O = tyllm::domain::ConvertOptions;
  static constexpr auto kTable = std::tuple{Member{"quant_type", &O::quant_type}};
};

template <>
struct tyllm::format::Members<tyllm::domain::EvaluateOptions> {
  using O = tyllm::domain::EvaluateOptions;
  static constexpr auto kTable =
      std::tuple{Member{"window", &O::window}, Member{"max_windows", &O::max_windows}};
};

template <>
struct tyllm::format::Members<tyllm::domain::CompileOptions> {
  using O = tyllm::domain::CompileOptions;
  static constexpr auto kTable = std::tuple{
      Member{"dies", &O::dies},
      Member{"seq_lens", &O::seq_lens},
      Member{"max_kv", &O::max_kv},
      Member{"embedding_as_input", &O::embedding_as_input},
      Member{"lm_die_remap", &O::lm_die_remap},
      Member{"keep_source", &O::keep_source},
      Member{"target_cpu", &O::target_cpu},
  };
};
