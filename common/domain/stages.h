// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace tyllm::domain {

/// Stages that a farm's attempts and the commands of `tyllm` report (Progress::stage), sorted. The
/// steps of a vendor's driver are named by the driver and are not among them. "start": the job runs
/// and has not told one yet.
inline constexpr std::array<std::string_view, 28> kStages{
    "answers", "assemble", "bench",      "calibrate",   "check",    "compile",  "compile_visual",
    "convert", "digest",   "evaluate",   "fetch",       "generate", "golden",   "golden_visual",
    "images",  "onnx",     "pack",       "pack_visual", "prepare",  "quantize", "questions",
    "resume",  "start",    "synthesize", "upload",      "vendor",   "verify",   "verify_visual"};

/// The stage, or "other" for what is none of kStages: a bounded set, for metrics.
constexpr std::string_view KnownStage(std::string_view stage) {
  const auto it = std::lower_bound(kStages.begin(), kStages.end(), stage);
  return it != kStages.end() && *it == stage ? *it : "other";
}

/// How long an attempt was in a stage, all its parts together: from the first word of the stage to
/// the first of another.
struct StageTime {
  std::string stage;
  std::int64_t ms = 0;

  bool operator==(const StageTime&) const = default;
};

}  // namespace tyllm::domain
