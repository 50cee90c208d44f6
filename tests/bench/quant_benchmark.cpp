// SPDX-License-Identifier: Apache-2.0
// What quantizing costs besides running the calibration text: the search for scales and ranges of
// one linear layer, and the whole of it on the demo model.
#include <benchmark/benchmark.h>

#include <filesystem>

#include "tests/support/paths.h"
#include "tests/worker/quant/made_statistics.h"
#include "worker/quant/coded_linear.h"
#include "worker/quant/quantize.h"
#include "worker/quant/scale_search.h"
#include "worker/tensor/blas.h"

namespace tyllm::quant {
namespace {

constexpr std::int64_t kGroup = 128;

struct MadeLayer {
  MadeLayer(std::int64_t out, std::int64_t in)
      : weights(testing::MadeMatrix("weights", out, in)),
        statistics(testing::StatisticsOf(testing::MadeInputs("inputs", 64, in))) {
    tensor::PrepareBlas();
  }

  tensor::Matrix weights;
  InputStatistics statistics;
  tensor::TaskLanes lanes{0};
};

void CountWeights(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * state.range(0) * state.range(1));
}

void OneScaleCandidate(benchmark::State& state) {
  MadeLayer layer(state.range(0), state.range(1));
  const std::vector<double> even(static_cast<std::size_t>(state.range(0)), 1.0);
  const std::vector<ScaleCandidate> candidates = {
      {ScaleFormula::kIdentity, 0.0,
       std::vector<float>(static_cast<std::size_t>(state.range(1)), 1.5F)}};
  const std::vector<WeighedLinear> linears = {{layer.weights.view(), even}};
  for (auto step : state) {
    benchmark::DoNotOptimize(ScaledRoundingErrors(candidates, linears, layer.statistics.gram.view(),
                                                  kGroup, layer.lanes));
  }
  CountWeights(state);
}

void Ranges(benchmark::State& state) {
  MadeLayer layer(state.range(0), state.range(1));
  for (auto step : state) {
    benchmark::DoNotOptimize(
        SearchRanges(layer.weights.view(), layer.statistics.gram.view(), kGroup, layer.lanes));
  }
  CountWeights(state);
}

void DemoModel(benchmark::State& state) {
  const Path source = testing::kSourceFolder;
  const Path out = std::filesystem::temp_directory_path() / "tyllm_quant_benchmark";
  domain::NoProgress progress;
  QuantizeRequest request;
  request.model = source / "examples" / "models" / "demo-qwen3-4m";
  request.calibration_text = source / "data" / "wikitext-2" / "valid.txt";
  request.out = out;
  request.options.samples = state.range(0);
  for (auto step : state) {
    std::filesystem::remove_all(out);
    const auto report = Quantize(request, progress);
    if (!report.ok()) {
      state.SkipWithError(report.status().message().c_str());
    }
  }
  std::filesystem::remove_all(out);
}

BENCHMARK(OneScaleCandidate)->Args({512, 512})->Args({512, 1536})->UseRealTime();
BENCHMARK(Ranges)->Args({512, 512})->Args({512, 1536})->UseRealTime();
BENCHMARK(DemoModel)->Arg(128)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(1);

}  // namespace
}  // namespace tyllm::quant
