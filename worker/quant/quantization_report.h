// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/domain/task_options.h"
#include "common/format/json.h"
#include "worker/quant/scale_candidates.h"
#include "worker/quant/scaling_group.h"

namespace tyllm::quant {

/// Part of a linear's error.
struct GroupShare {
  std::int64_t group = 0;  ///< of input columns, from 0
  double share = 0.0;

  bool operator==(const GroupShare&) const = default;
};

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
  double correction = 0.0;       ///< share of the step that makes earlier errors good; 0: none
  double clipped_share = 0.0;    ///< of the groups
  double saturated_share = 0.0;  ///< of the weights, beyond the ends of their grid
  double image_share = 0.0;      ///< of the inputs' weighed magnitudes: tokens of images
  std::vector<GroupShare> worst_groups;  ///< those that hold most of the error

  bool operator==(const LinearReport&) const = default;
};

struct CalibrationReport {
  std::string text;  ///< name of the file or folder
  std::int64_t samples = 0;
  std::int64_t seq_len = 0;
  std::int64_t tokens = 0;           ///< that were run through the model
  std::int64_t documents = 0;        ///< that these are from
  std::int64_t documents_found = 0;  ///< in the text
  std::int64_t sequences = 0;        ///< what attention sees as one
  std::int64_t shortest = 0;         ///< tokens of the shortest sequence
  std::int64_t distinct_tokens = 0;  ///< different ids among the tokens
  std::int64_t known_tokens = 0;     ///< ids that the tokenizer knows
  std::int64_t images = 0;           ///< looked at
  std::int64_t image_tokens = 0;     ///< of the tokens: those that stand for parts of images
  double image_share = 0.0;          ///< mean of the quantized linears'
};

struct StageSeconds {
  double calibrate = 0.0;
  double quantize = 0.0;
  double write = 0.0;
  double verify = 0.0;
  double total = 0.0;
};

/// What differs from run to run, and so is printed but not part of the output: equal requests give
/// equal folders, byte for byte.
struct RunReport {
  std::int64_t memory_needed_bytes = 0;  ///< as told before the work began; threads count
  std::int64_t peak_memory_bytes = 0;    ///< of the process
  std::int64_t peak_device_bytes = 0;    ///< of the GPU's memory; 0 on the CPU
  std::int64_t layers_resumed = 0;       ///< finished by an earlier run that was interrupted
  StageSeconds seconds;
  std::map<std::string, double> layer_seconds;   ///< of this run, by layer
  std::map<std::string, double> linear_seconds;  ///< of making integers, by linear layer
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
  std::int64_t kept_float_bytes = 0;  ///< what --keep-float added to the output
  std::vector<std::string> poor;      ///< linears that went badly; see Summarize
  std::vector<std::string> warnings;
  RunReport run;  ///< not in the file
};

/// Fills the means, and names the linears that went badly: an error over three times the median of
/// all, or one that is no lower than round to nearest's though a text was read.
void Summarize(QuantizationReport& report);

/// The file's members and those of the run.
format::Json ReportWithRun(const QuantizationReport& report);

/// A few lines for people.
std::string ReportText(const QuantizationReport& report);

}  // namespace tyllm::quant

namespace tyllm::format {

template <>
struct Members<quant::GroupShare> {
  using S = quant::GroupShare;
  static constexpr auto kTable = std::tuple{Member{"group", &S::group}, Member{"share", &S::share}};
};

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
      Member{"correction", &R::correction},
      Member{"clipped_share", &R::clipped_share},
      Member{"saturated_share", &R::saturated_share},
      Member{"image_share", &R::image_share},
      Member{"worst_groups", &R::worst_groups},
  };
};

template <>
struct Members<quant::CalibrationReport> {
  using R = quant::CalibrationReport;
  static constexpr auto kTable = std::tuple{
      Member{"text", &R::text},
      Member{"samples", &R::samples},
      Member{"seq_len", &R::seq_len},
      Member{"tokens", &R::tokens},
      Member{"documents", &R::documents},
      Member{"documents_found", &R::documents_found},
      Member{"sequences", &R::sequences},
      Member{"shortest", &R::shortest},
      Member{"distinct_tokens", &R::distinct_tokens},
      Member{"known_tokens", &R::known_tokens},
      Member{"images", &R::images},
      Member{"image_tokens", &R::image_tokens},
      Member{"image_share", &R::image_share},
  };
};

template <>
struct Members<quant::StageSeconds> {
  using R = quant::StageSeconds;
  static constexpr auto kTable = std::tuple{
      Member{"calibrate", &R::calibrate}, Member{"quantize", &R::quantize},
      Member{"write", &R::write}, Member{"verify", &R::verify}, Member{"total", &R::total}};
};

template <>
struct Members<quant::RunReport> {
  using R = quant::RunReport;
  static constexpr auto kTable = std::tuple{Member{"memory_needed_bytes", &R::memory_needed_bytes},
                                            Member{"peak_memory_bytes", &R::peak_memory_bytes},
                                            Member{"peak_device_bytes", &R::peak_device_bytes},
                                            Member{"layers_resumed", &R::layers_resumed},
                                            Member{"seconds", &R::seconds},
                                            Member{"layer_seconds", &R::layer_seconds},
                                            Member{"linear_seconds", &R::linear_seconds}};
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
      Member{"kept_float_bytes", &R::kept_float_bytes},
      Member{"poor", &R::poor},
      Member{"warnings", &R::warnings},
      Member{"linears", &R::linears},
  };
};

}  // namespace tyllm::format
