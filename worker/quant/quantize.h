// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/domain/progress.h"
#include "common/domain/task_options.h"
#include "worker/quant/quantization_report.h"

namespace tyllm::quant {

/// Models up to this size are one weight file, put together at the end from the layers' files.
inline constexpr std::uint64_t kSingleFileBytes = 256'000'000;

struct QuantizeRequest {
  Path model;             ///< a float model directory
  Path out;               ///< must not exist
  Path calibration_text;  ///< see calibration_documents.h; not read by the rtn method
  domain::QuantizeOptions options;
  std::string device = "auto";
  std::int64_t threads = 0;  ///< 0: all CPUs that this process may use
  /// Larger models get a weight file for each layer.
  std::uint64_t single_file_bytes = kSingleFileBytes;
};

/// Where the work meets the world.
struct QuantizeServices {
  FileSystem& files = LocalFileSystem();
  const Clock& clock = SystemClock();
};

/// Quantizes the linear layers of all decoder layers and writes a complete model directory:
/// weights, config.json, every other file of the source and quantization_report.json. One decoder
/// layer's weights are in memory at a time, and its output is on the disk before the next is read.
/// The folder appears only when everything was written, read back and compared. Killed at any
/// moment, or stopped by a full disk, it leaves "<out>.partial", and the same request goes on after
/// the last finished layer (docs/adr/0055). All files depend on the model, the text, the options
/// and the kind of device alone: not on the number of threads, and not on interruptions. Progress:
/// stages calibrate and quantize by layers, then verify.
Result<QuantizationReport> Quantize(const QuantizeRequest& request, domain::ProgressSink& progress,
                                    const QuantizeServices& services = {});

}  // namespace tyllm::quant
