// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "worker/compile/preparation.h"
#include "worker/compile/request.h"

// What a compilation makes besides the language model's programs, where the model sees.
namespace tyllm::compile {

/// Files of dies `dies` in visual/ and mrope/ below `root`, and at last their records. Nothing for
/// a model of text.
Status BuildVisualDies(FileSystem& files, const CompileRequest& request,
                       const Preparation& preparation, const std::vector<std::int64_t>& dies,
                       const Path& root, const Path& scratch, ThreadPool& pool,
                       domain::ProgressSink& progress);

/// What is around them: files that all dies share, the host's embeddings, and the golden picture.
Status AssembleVisual(FileSystem& files, const Preparation& preparation, int jobs, const Path& root,
                      domain::ProgressSink& progress);

}  // namespace tyllm::compile
