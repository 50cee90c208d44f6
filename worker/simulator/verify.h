// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/domain/progress.h"
#include "common/format/json.h"
#include "worker/simulator/compare_segments.h"

namespace tyllm::simulator {

/// Largest difference of a logit from the float32 evaluation of the same quantized weights.
inline constexpr double kLogitTolerance = 2e-2;

struct VerifyRequest {
  Path directory;
  /// The quantized model directory: logits are computed from it anew, rather than read from
  /// golden.safetensors.
  std::optional<Path> model;
  double tolerance = kLogitTolerance;
  bool check_files = true;  ///< sizes and digests against the manifest
  bool layers = false;      ///< compare every segment with the float32 interpreter too (slow)
};

struct VerifyReport {
  std::string directory;
  std::int64_t dies = 0;
  std::int64_t files = 0;
  std::int64_t bytes = 0;
  std::int64_t tokens = 0;
  std::int64_t rows = 0;  ///< of logits that were compared
  double max_difference = 0;
  double tolerance = 0;
  std::int64_t ties = 0;  ///< rows whose best token is another one, within the tolerance
  std::vector<std::string> chunkings;  ///< that gave the same bits, "96+8+8+1+..."
  std::vector<SegmentDifference> segments;
};

/// Proves a compiled model: its files are those of the manifest, it loads on this machine, and its
/// logits are those of the float32 evaluation, in whatever chunks the tokens come. kDataLoss names
/// the first thing that differs. Reports the stages "check" and "verify".
Result<VerifyReport> Verify(const VerifyRequest& request, domain::ProgressSink& progress);

}  // namespace tyllm::simulator

template <>
struct tyllm::format::Members<tyllm::simulator::VerifyReport> {
  using R = tyllm::simulator::VerifyReport;
  static constexpr auto kTable = std::tuple{
      Member{"directory", &R::directory},
      Member{"dies", &R::dies},
      Member{"files", &R::files},
      Member{"bytes", &R::bytes},
      Member{"tokens", &R::tokens},
      Member{"rows", &R::rows},
      Member{"max_difference", &R::max_difference},
      Member{"tolerance", &R::tolerance},
      Member{"ties", &R::ties},
      Member{"chunkings", &R::chunkings},
      Member{"segments", &R::segments},
  };
};
