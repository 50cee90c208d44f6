// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/domain/progress.h"
#include "common/domain/task_options.h"
#include "common/format/json.h"
#include "worker/simulator/compare_segments.h"

namespace tyllm::simulator {

/// How far a compiled model may be from the float32 evaluation of the same weights.
struct Tolerances {
  double logit = 2e-2;    ///< largest difference of a logit
  double segment = 3e-2;  ///< largest relative error (root of the squares) of what a segment leaves
                          ///< of a token
  /// Times what rounding to int8 changes in the reference (Golden::rounding) are allowed besides.
  double roundings = 0;
};

/// With int8 weights the programs round exactly as the reference did when that was measured: once.
/// With int8 activations a difference in the last bit may round to another number, and after a few
/// layers the two are as far from each other as either is from float32: twice.
Tolerances TolerancesFor(const domain::CompileOptions& options);

struct VerifyRequest {
  Path directory;
  /// The quantized model directory: what must come out is computed from it anew, rather than read
  /// from golden.safetensors.
  std::optional<Path> model;
  double logit_tolerance = 0;  ///< above 0: instead of that of TolerancesFor
  bool check_files = true;     ///< sizes and digests against the manifest
  /// Compare every segment with its schedule in float32 over all tokens and on as many dies, rather
  /// than with the stored numbers of the last token (slow).
  bool layers = false;
};

struct VerifyReport {
  std::string directory;
  /// What was run: "compiled", the programs; "interpreter", their schedules in float32 from the
  /// same parameters, where there are no programs or none for this machine's CPU.
  std::string engine;
  std::int64_t dies = 0;
  std::int64_t files = 0;
  std::int64_t bytes = 0;
  std::int64_t tokens = 0;
  std::int64_t rows = 0;  ///< of logits that were compared
  double max_difference = 0;
  double tolerance = 0;
  double kl_divergence = 0;            ///< of the reference from the dies, mean of the rows, nats
  double kl_largest = 0;               ///< of a row
  std::int64_t best_tokens = 0;        ///< rows whose best token was compared
  std::int64_t ties = 0;               ///< of them: another one, within the tolerance
  std::int64_t greedy = 0;             ///< tokens of the continuation that are the reference's
  std::vector<std::string> chunkings;  ///< that gave the same bits and text, "96+8+8+1+..."
  /// Calls of every program that takes a history with more than one token: "1+128", and the same
  /// bits in other chunks.
  std::vector<std::string> filled;
  std::vector<SegmentDifference> segments;
  std::int64_t visual_tokens =
      0;  ///< of a prompt with an image or video; 0: the model does not see
  double visual_max_difference = 0;  ///< of a logit behind it
  std::int64_t visual_greedy = 0;    ///< tokens of its answer that are the reference's

  /// Share of the rows whose best token is the reference's.
  double top1_agreement() const {
    return best_tokens == 0
               ? 0
               : static_cast<double>(best_tokens - ties) / static_cast<double>(best_tokens);
  }
};

/// Proves a compiled model: its files are those of the manifest, it loads on this machine (where
/// that has not the target CPU, its schedules are interpreted, and the programs are not run), every
/// segment leaves what the one-die float32 reference leaves, logits and greedy text are the
/// reference's, and they have the same bits in whatever chunks the tokens come. kDataLoss names the
/// first thing that differs. Reports the stages "check" and "verify".
Result<VerifyReport> Verify(const VerifyRequest& request, domain::ProgressSink& progress);

}  // namespace tyllm::simulator

template <>
struct tyllm::format::Members<tyllm::simulator::VerifyReport> {
  using R = tyllm::simulator::VerifyReport;
  static constexpr auto kTable = std::tuple{
      Member{"directory", &R::directory},
      Member{"engine", &R::engine},
      Member{"dies", &R::dies},
      Member{"files", &R::files},
      Member{"bytes", &R::bytes},
      Member{"tokens", &R::tokens},
      Member{"rows", &R::rows},
      Member{"max_difference", &R::max_difference},
      Member{"tolerance", &R::tolerance},
      Member{"kl_divergence", &R::kl_divergence},
      Member{"kl_largest", &R::kl_largest},
      Member{"best_tokens", &R::best_tokens},
      Member{"ties", &R::ties},
      Member{"greedy", &R::greedy},
      Member{"chunkings", &R::chunkings},
      Member{"filled", &R::filled},
      Member{"segments", &R::segments},
      Member{"visual_tokens", &R::visual_tokens},
      Member{"visual_max_difference", &R::visual_max_difference},
      Member{"visual_greedy", &R::visual_greedy},
  };
};
