// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/job_memory.h"

#include <algorithm>

#include "worker/compile/compile_memory.h"
#include "worker/model/checkpoint_size.h"
#include "worker/quant/quantization_memory.h"

namespace tyllm::jobs {

namespace {

constexpr std::int64_t kFloat = 4;
constexpr std::int64_t kHalf = 2;
constexpr std::int64_t kTokensAtOnce = 4096;
constexpr std::int64_t kCacheTokens = 4096;
constexpr std::int64_t kThreads = 16;
/// The program itself, its threads and tables.
constexpr std::int64_t kProgram = 64'000'000;

std::int64_t LayerParameters(const model::ModelShape& shape) {
  return shape.width * (2 * shape.q_columns() + 2 * shape.kv_columns() + 3 * shape.intermediate);
}

/// Values of a decoder layer that are alive at once.
std::int64_t ValuesOfToken(const model::ModelShape& shape) {
  return 3 * shape.width +
         std::max(2 * shape.q_columns() + 2 * shape.kv_columns(), 3 * shape.intermediate);
}

}  // namespace

JobMemory MemoryOfJobs(const model::ModelShape& shape, std::int64_t group) {
  const std::int64_t table = kFloat * shape.vocabulary * shape.width;
  const std::int64_t layer = kFloat * LayerParameters(shape);
  const std::int64_t values = kFloat * kTokensAtOnce * ValuesOfToken(shape);
  const std::int64_t text = kFloat * kTokensAtOnce * shape.width;
  const std::int64_t cache = kHalf * 2 * shape.layers * kCacheTokens * shape.kv_columns();
  JobMemory memory;
  memory.quantize = quant::QuantizationMemory(shape, {}, kThreads);
  memory.evaluate = kProgram + std::max(table + text, layer + values);
  memory.compile = compile::CompileMemory(shape, group, {}, kThreads);
  memory.run = kProgram + model::QuantizedBytes(shape, group) + cache;
  return memory;
}

}  // namespace tyllm::jobs
