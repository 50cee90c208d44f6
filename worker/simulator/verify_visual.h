// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/progress.h"
#include "worker/simulator/loaded_artifact.h"
#include "worker/simulator/verify.h"

namespace tyllm::simulator {

/// Runs the tower over the picture that is stored, and the language model over the prompt about it
/// in every chunking: features and logits are the float32 reference's within the tolerances, the
/// greedy answer its tokens, and the same bits come out of all chunkings. With `model` the
/// reference is computed anew from it. kDataLoss names the first thing that differs. Nothing for an
/// artifact that does not see.
Status VerifyVisual(const LoadedArtifact& loaded, const std::optional<Path>& model,
                    const Tolerances& tolerances, domain::ProgressSink& progress,
                    VerifyReport& report);

}  // namespace tyllm::simulator
