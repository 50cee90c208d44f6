// SPDX-License-Identifier: Apache-2.0
// The example model as a whole: tokens a second through all blocks and the head, and of greedy
// text.
#include <benchmark/benchmark.h>

#include "tests/support/paths.h"
#include "worker/forward/generator.h"

namespace tyllm::forward {
namespace {

Model Example() {
  return *OpenModel(Path(testing::kSourceFolder) / "examples" / "models" / "demo-qwen3-4m");
}

void Evaluation(benchmark::State& state) {
  const Model model = Example();
  const auto backend = *tensor::MakeBackend("cpu");
  BlockRunner runner(*backend, model.shape());
  TokenBatch batch{.sequences = 4, .length = 512, .ids = {}};
  for (std::int32_t i = 0; i < 4 * 512; ++i) {
    batch.ids.push_back(i * 131 % 4093);
  }
  for (auto _ : state) {
    const auto hidden = *RunBody(model, runner, {&batch, 1});
    const auto logits = Head::Load(model)->Logits(runner, hidden.front(), 0, 2048);
    benchmark::DoNotOptimize(logits->data());
  }
  state.counters["tokens/s"] = benchmark::Counter(2048.0 * static_cast<double>(state.iterations()),
                                                  benchmark::Counter::kIsRate);
}

void Generation(benchmark::State& state) {
  const Model model = Example();
  const auto backend = *tensor::MakeBackend("cpu");
  Generator generator(model, *backend);
  for (auto _ : state) {
    const auto text = generator.Generate({.prompt = {1, 2, 3, 4}, .max_tokens = 64, .stop = {}});
    benchmark::DoNotOptimize(text->data());
  }
  state.counters["tokens/s"] = benchmark::Counter(64.0 * static_cast<double>(state.iterations()),
                                                  benchmark::Counter::kIsRate);
}

BENCHMARK(Evaluation)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Generation)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tyllm::forward
