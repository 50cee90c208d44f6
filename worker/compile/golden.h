// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "common/domain/progress.h"
#include "worker/forward/model.h"
#include "worker/simulator/reference.h"

namespace tyllm::compile {

/// The text that a compiled model is proven with: more than a chunk of 96 and one of 8, and an odd
/// rest; and what it is continued with.
inline constexpr std::int64_t kMostGoldenTokens = 115;
inline constexpr std::int64_t kMostGreedyTokens = 8;
/// What goldens continue, where a model has a tokenizer.
inline constexpr std::string_view kGoldenText =
    "The river rises in the hills to the north of the town and flows through a broad valley to "
    "the sea. For most of its length it is slow and shallow, and in a dry summer it can be crossed "
    "on foot. A stone bridge was built in 1784, after a flood had carried away the older one of "
    "wood. Today the valley is known for its orchards, and a small railway brings visitors from "
    "the coast. In winter, when the fog lies low over the fields, only the tower of the church "
    "and the tops of the tallest trees can be seen from the road. The first people who lived here "
    "kept sheep and cut peat; their houses, of which the floors remain, stood on the dry ground "
    "above the marsh.";
/// What is asked about the picture of a model that sees.
inline constexpr std::string_view kGoldenQuestion = "What is in the picture?";

/// Writes golden.safetensors (docs/formats/golden.md): tokens of a sample text, and what the same
/// weights give for them on one die in float32, and what rounding to int8 changes where `rounding`
/// does. At most `max_tokens` tokens, and as many rows of logits as fit two megabytes. Reports
/// stage "golden".
Status WriteGolden(FileSystem& files, const forward::Model& model, std::int64_t max_tokens,
                   const simulator::Rounding& rounding, int jobs, const Path& path,
                   domain::ProgressSink& progress);

/// Bytes of that file but for its header: small beside the weights of any published model.
std::int64_t GoldenBytes(const model::ModelShape& shape, std::int64_t max_tokens);

}  // namespace tyllm::compile
