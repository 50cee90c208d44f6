// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/file_system.h"
#include "common/domain/task_options.h"
#include "tests/support/naive_packing.h"
#include "worker/simulator/session.h"

namespace tyllm::simulator::testing {

/// Two decoder layers with 4-bit weights in groups of 64 and a vocabulary that no number of dies
/// divides.
void WriteQuantizedModel(const Path& directory, const tyllm::testing::StorageVariant& variant = {
                                                    model::CheckpointFormat::kAwqGemm});

/// 2 layers of Qwen3 in float with what transformers computes of it (tests/data/goldens).
Path GoldenModel();

/// Compiles `model` below `out` and gives the "<N>die" folder. Shared objects are cached in the
/// build folder.
Path Compile(const Path& model, const Path& out, const domain::CompileOptions& options);

/// Buckets 1, 8 and 16, which have all kinds of programs, and 64 tokens of cache.
domain::CompileOptions Options(std::int64_t dies);

LoadedArtifact Load(const Path& directory, Engine engine = Engine::kCompiled);
Session Open(const LoadedArtifact& loaded, const SessionOptions& options = {});

/// Tokens that look random, all below `vocabulary`.
std::vector<std::int32_t> SomeTokens(std::size_t count, std::int32_t vocabulary);

double LargestDifference(std::span<const float> a, std::span<const float> b);

}  // namespace tyllm::simulator::testing
