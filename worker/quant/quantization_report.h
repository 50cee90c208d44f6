// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "common/domain/task_options.h"
#include "common/format/json.h"
#include "worker/quant/scale_candidates.h"
#include "worker/quant/scaling_group.h"

namespace tyllm::quant {

/// One linear layer of a quantized model (docs/formats/quantization-report.md).
struct LinearReport {
  std::string name;
  bool quantized = true;  ///< false: kept in floating point
  /// Relative errors: of the outputs over the calibration tokens (awq), of the weights (rtn).
  double rtn_error = 0.0;
  double error = 0.0;
  ScaleFormula scale_formula = ScaleFormula::kIdentity;
  double scale_ratio = 0.0;
  Producer folded_into = Producer::kNone;
  double clipped_share = 0.0;  ///< of the groups

  bool operator==(const LinearReport&) const = default;
};

struct CalibrationReport {
  std::string text;  ///< file name
  std::int64_t samples = 0;
  std::int64_t seq_len = 0;
  std::int64_t tokens = 0;
};

struct StageSeconds {
  double calibrate = 0.0;
  double quantize = 0.0;
  double write = 0.0;
  double verify = 0.0;
  double total = 0.0;
};

struct QuantizationReport {
  std::string tool;  ///< "tyllm 0.1.0"
  std::string architecture;
  domain::QuantizeOptions options;
  std::string device;
  std::optional<CalibrationReport> calibration;
  std::vector<LinearReport> linears;
  /// Means over the quantized linears.
  double mean_rtn_error = 0.0;
  double mean_error = 0.0;
  std::int64_t source_bytes = 0;  ///< of weights
  std::int64_t output_bytes = 0;
  std::int64_t peak_memory_bytes = 0;  ///< of the process
  std::int64_t peak_device_bytes = 0;  ///< of the GPU's memory; 0 on the CPU
  StageSeconds seconds;
  std::vector<std::string> warnings;
};

/// Fills the means.
void Summarize(QuantizationReport& report);

/// A few lines for people.
std::string ReportText(const QuantizationReport& report);

}  // namespace tyllm::quant

namespace tyllm::format {

template <>
struct Members<quant::LinearReport> {
  using R = quant::LinearReport;
  static constexpr auto kTable = std::tuple{
      Member{"name", &R::name, true},
      Member{"quantized", &R::quantized, true},
      Member{"rtn_error", &R::rtn_error},
      Member{"error", &R::error},
      Member{"scale_formula", &R::scale_formula},
      Member{"scale_ratio", &R::scale_ratio},
      Member{"folded_into", &R::folded_into},
      Member{"clipped_share", &R::clipped_share},
  };
};

template <>
struct Members<quant::CalibrationReport> {
  using R = quant::CalibrationReport;
  static constexpr auto kTable =
      std::tuple{Member{"text", &R::text}, Member{"samples", &R::samples},
                 Member{"seq_len", &R::seq_len}, Member{"tokens", &R::tokens}};
};

template <>
struct Members<quant::StageSeconds> {
  using R = quant::StageSeconds;
  static constexpr auto kTable = std::tuple{
      Member{"calibrate", &R::calibrate}, Member{"quantize", &R::quantize},
      Member{"write", &R::write}, Member{"verify", &R::verify}, Member{"total", &R::total}};
};

template <>
struct Members<quant::QuantizationReport> {
  using R = quant::QuantizationReport;
  static constexpr auto kTable = std::tuple{
      Member{"tool", &R::tool, true},
      Member{"architecture", &R::architecture, true},
      Member{"options", &R::options, true},
      Member{"device", &R::device},
      Member{"calibration", &R::calibration},
      Member{"mean_rtn_error", &R::mean_rtn_error},
      Member{"mean_error", &R::mean_error},
      Member{"source_bytes", &R::source_bytes},
      Member{"output_bytes", &R::output_bytes},
      Member{"peak_memory_bytes", &R::peak_memory_bytes},
      Member{"peak_device_bytes", &R::peak_device_bytes},
      Member{"seconds", &R::seconds},
      Member{"warnings", &R::warnings},
      Member{"linears", &R::linears},
  };
};

}  // namespace tyllm::format
