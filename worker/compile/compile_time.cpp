// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/compile_time.h"

#include <algorithm>

#include "worker/compile/golden.h"

namespace tyllm::compile {
namespace {

// Of one core a second, measured with clang 19 and the default options
// (docs/benchmarks/compile.md).
constexpr double kDigestedBytes = 1.2e9;
constexpr double kPackedBytes = 500e6;
constexpr double kPackedTowerBytes = 370e6;
constexpr double kSecondsPerSource = 0.9;
constexpr double kGoldenProducts = 4.5e9;
constexpr double kDieProducts = 65e9;
constexpr double kInterpretedProducts = 4.5e9;
constexpr double kTowerProducts = 50e9;
constexpr double kDieTowerProducts = 200e9;
/// Opening, tokenizer, what is written around: whatever the model.
constexpr double kAlways = 0.3;

double Bytes(std::uint64_t bytes) {
  return static_cast<double>(bytes);
}

/// Multiplications of a token, its logits included.
double ProductsOf(const model::ModelShape& shape) {
  const std::int64_t table = shape.vocabulary * shape.width;
  return static_cast<double>(shape.parameters() - (shape.tied_head ? 0 : table));
}

/// Of an image through a tower: its matrices, and every patch with every other.
double TowerProducts(const Preparation& preparation, const DirectorySize& size) {
  const TowerPlan& tower = *preparation.tower;
  const auto patches = static_cast<double>(tower.config.grid.patches());
  const double numbers = Bytes(size.tower) / 4;  // of binary16, packed and beside a graph
  const auto width = static_cast<double>(tower.tower.shape.width);
  const auto layers = static_cast<double>(tower.tower.shape.depth);
  return patches * (numbers + 2 * layers * width * patches);
}

}  // namespace

CompileTime ExpectedTime(const Preparation& preparation, const DirectorySize& size,
                         std::int64_t jobs) {
  const domain::CompileOptions& options = preparation.options;
  const bool compiles = preparation.compiler.program != kNoCompiler;
  const auto threads = static_cast<double>(std::max<std::int64_t>(1, jobs));
  const double token = ProductsOf(preparation.model.shape());
  const auto tokens = static_cast<double>(std::min(kMostGoldenTokens, options.max_kv));
  const auto buckets = static_cast<double>(options.seq_lens.size());
  const double runs = buckets > 1 ? buckets + 2 : 2;
  CompileTime time;
  time.check = kAlways + Bytes(size.model) / kDigestedBytes;
  time.pack = (Bytes(size.parameters() - size.tower) / kPackedBytes +
               Bytes(size.tower) / kPackedTowerBytes) /
              threads;
  if (compiles) {
    const auto sources = static_cast<double>(size.distinct_sources - size.cached_sources);
    time.compile = kSecondsPerSource * sources / std::min(threads, std::max(1.0, sources));
  }
  const double rounds = options.head == domain::HeadNumbers::kInt8 ||
                                options.activations == domain::ActivationNumbers::kInt8
                            ? 2
                            : 1;
  time.golden = rounds * token * tokens / (kGoldenProducts * threads);
  const bool is_run = preparation.ProofEngine() == simulator::Engine::kCompiled;
  const double run = is_run ? kDieProducts : kInterpretedProducts;
  time.verify = Bytes(size.total()) / kDigestedBytes + runs * token * tokens / (run * threads);
  if (preparation.tower) {
    const auto seen = static_cast<double>(preparation.tower->config.tokens);
    const double products = TowerProducts(preparation, size);
    time.golden += (products + seen * token) / (kTowerProducts * threads);
    time.verify += (products / kDieTowerProducts + runs * seen * token / run) / threads;
  }
  return time;
}

}  // namespace tyllm::compile
