// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/simulator/golden.h"
#include "worker/simulator/loaded_artifact.h"
#include "worker/simulator/verify.h"

namespace tyllm::simulator {

/// kDataLoss names a segment whose relative error is above `tolerance`.
Status CheckSegment(const SegmentDifference& difference, double tolerance);

/// What every segment leaves of the last token, against the reference's. kDataLoss names the first
/// segment that is further off than the request allows.
Status VerifySegments(const LoadedArtifact& loaded, const Golden& golden,
                      const Tolerances& tolerances, VerifyReport& report);

/// Every stored row of logits; of every row its largest logits, the sum over all of them, and the
/// best token.
Status VerifyLogits(const LoadedArtifact& loaded, const Golden& golden,
                    const Tolerances& tolerances, VerifyReport& report);

/// All buckets together, then each one alone: logits have the same bits, the greedy text goes on
/// with the same tokens, and these are the reference's.
Status VerifyChunkings(const LoadedArtifact& loaded, const Golden& golden,
                       const Tolerances& tolerances, domain::ProgressSink& progress,
                       VerifyReport& report);

}  // namespace tyllm::simulator
