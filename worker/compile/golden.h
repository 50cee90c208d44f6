// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/progress.h"
#include "worker/forward/model.h"

namespace tyllm::compile {

/// Writes golden.safetensors (docs/formats/golden.md): tokens of a sample text, and what the same
/// weights give for them on one die in float32. At most `max_tokens` tokens, and as many rows of
/// logits as fit a few megabytes. Reports stage "golden".
Status WriteGolden(FileSystem& files, const forward::Model& model, std::int64_t max_tokens,
                   int jobs, const Path& path, domain::ProgressSink& progress);

}  // namespace tyllm::compile
