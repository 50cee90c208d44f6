// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/file_system.h"
#include "common/domain/progress.h"
#include "common/domain/task_options.h"
#include "common/format/json.h"
#include "worker/model/checkpoint_format.h"

namespace tyllm::quant {

struct ConvertRequest {
  Path source;       ///< a quantized model directory of any format that is read
  Path destination;  ///< must not exist
  domain::ConvertOptions options;
};

struct ConvertReport {
  model::CheckpointFormat from = model::CheckpointFormat::kAmtc;
  model::CheckpointFormat to = model::CheckpointFormat::kAwqGemm;
  std::int64_t quantized_linears = 0;
  std::int64_t group_size = 0;
  std::int64_t tensors = 0;
  std::int64_t dropped_tensors = 0;  ///< of the quantizer's own book-keeping
  std::int64_t weight_files = 0;
  std::int64_t bytes = 0;  ///< of weights
  std::vector<std::string> warnings;
};

/// Writes a quantized model in another format with the same integers, zero points and scales: the
/// same files, each layer where it stood, with an index where there are several. From AMTC to
/// AutoAWQ's layout and back tensors only change their names. All other files are copied;
/// config.json gets the format's quantization_config. The folder appears only when it is complete,
/// was read back and compared.
Result<ConvertReport> Convert(const ConvertRequest& request, domain::ProgressSink& progress,
                              FileSystem& files = LocalFileSystem());

std::string ReportText(const ConvertReport& report);

}  // namespace tyllm::quant

namespace tyllm::format {

template <>
struct Members<quant::ConvertReport> {
  using R = quant::ConvertReport;
  static constexpr auto kTable = std::tuple{Member{"from", &R::from},
                                            Member{"to", &R::to},
                                            Member{"quantized_linears", &R::quantized_linears},
                                            Member{"group_size", &R::group_size},
                                            Member{"tensors", &R::tensors},
                                            Member{"dropped_tensors", &R::dropped_tensors},
                                            Member{"weight_files", &R::weight_files},
                                            Member{"bytes", &R::bytes},
                                            Member{"warnings", &R::warnings}};
};

}  // namespace tyllm::format
