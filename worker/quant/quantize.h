// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/domain/progress.h"
#include "common/domain/task_options.h"
#include "worker/quant/quantization_report.h"
#include "worker/quant/shard_plan.h"

namespace tyllm::quant {

struct QuantizeRequest {
  Path model;             ///< a float model directory
  Path out;               ///< must not exist
  Path calibration_text;  ///< UTF-8; not read by the rtn method
  domain::QuantizeOptions options;
  std::string device = "auto";
  std::int64_t threads = 0;  ///< 0: all CPUs that this process may use
  std::uint64_t shard_bytes = kDefaultShardBytes;
};

/// Where the work meets the world.
struct QuantizeServices {
  FileSystem& files = LocalFileSystem();
  const Clock& clock = SystemClock();
};

/// Quantizes the linear layers of all decoder layers and writes a complete model directory:
/// weights, config.json, every other file of the source and quantization_report.json. One decoder
/// layer's weights are in memory at a time, and its output is on the way to the disk before the
/// next is read. The folder appears only when everything was written, read back and compared. The
/// weight files depend on the model, the text and the options alone, not on the number of threads.
/// Progress: stages calibrate and quantize by layers, then verify.
Result<QuantizationReport> Quantize(const QuantizeRequest& request, domain::ProgressSink& progress,
                                    const QuantizeServices& services = {});

}  // namespace tyllm::quant
