// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "worker/simulator/filled_calls.h"
#include "worker/simulator/golden.h"
#include "worker/simulator/loaded_artifact.h"
#include "worker/simulator/session.h"
#include "worker/simulator/verify.h"

namespace tyllm::simulator {

/// kDataLoss names a segment whose relative error is above `tolerance`.
Status CheckSegment(const SegmentDifference& difference, double tolerance);

/// The reference's tokens as the dies read them: in all chunkings at once, segment by segment
/// (Session::FeedTogether), so that it takes neither the memory of the model nor one pass over its
/// weights for each call. What it is given outlives it.
class VerifyRun {
 public:
  /// Reports stage "verify".
  static Result<VerifyRun> Read(const LoadedArtifact& loaded, const Golden& golden,
                                domain::ProgressSink& progress);

  /// What every segment leaves of the last token, against the reference's. kDataLoss names the
  /// first segment that is further off than the request allows.
  Status CheckSegments(const Tolerances& tolerances, VerifyReport& report) const;

  /// Every stored row of logits; of every row its largest logits, the sum over all of them, and the
  /// best token.
  Status CheckLogits(const Tolerances& tolerances, VerifyReport& report) const;

  /// All buckets together, then, unless they are interpreted, each one alone: logits have the same
  /// bits, the greedy text goes on with the same tokens, and these are the reference's. Then every
  /// program that takes a history with more than one token. Once.
  Status CheckChunkings(const Tolerances& tolerances, VerifyReport& report);

 private:
  /// Logits of the reference's tokens: every row of them, or the last one.
  const std::vector<float>& OfText() const {
    return every_ ? logits_[sessions_.size()] : logits_.front();
  }

  VerifyRun(const LoadedArtifact& loaded, const Golden& golden)
      : loaded_(&loaded), golden_(&golden) {}

  /// That no program is missing in those that were called with more than one token.
  Status CheckEveryProgramRan(const std::vector<plan::ProgramId>& called) const;

  const LoadedArtifact* loaded_;
  const Golden* golden_;
  std::optional<FilledCalls> filled_;
  std::vector<Session> sessions_;  ///< [chunkings]
  bool every_ = false;             ///< there are programs that give every row
  /// Of each chunking, then all rows where `every_`, then of filled_'s feedings.
  std::vector<std::vector<float>> logits_;
  std::vector<std::vector<float>> segments_;  ///< last rows of the dies' sums; empty without one
};

}  // namespace tyllm::simulator
