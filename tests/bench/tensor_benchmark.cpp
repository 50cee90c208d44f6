// SPDX-License-Identifier: Apache-2.0
// Linear layers, Gram matrices and attention in GFLOP/s, on all CPUs.
#include <benchmark/benchmark.h>

#include "worker/tensor/backend.h"

namespace tyllm::tensor {
namespace {

Matrix Filled(std::int64_t rows, std::int64_t columns) {
  Matrix m(rows, columns);
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    m.data()[i] = static_cast<float>(i * 7919 % 1009) / 1009.0F - 0.5F;
  }
  return m;
}

void SetGflops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] = benchmark::Counter(
      flops * static_cast<double>(state.iterations()) * 1e-9, benchmark::Counter::kIsRate);
}

/// rows, in, out
void Linear(benchmark::State& state) {
  const auto backend = *MakeBackend("cpu");
  const Matrix x = Filled(state.range(0), state.range(1));
  const Matrix w = Filled(state.range(2), state.range(1));
  Matrix out;
  for (auto _ : state) {
    backend->Linear(x.view(), w.view(), {}, out);
    benchmark::DoNotOptimize(out.data());
  }
  SetGflops(state, 2.0 * static_cast<double>(state.range(0) * state.range(1) * state.range(2)));
}

/// rows, columns
void Gram(benchmark::State& state) {
  const auto backend = *MakeBackend("cpu");
  const Matrix x = Filled(state.range(0), state.range(1));
  Matrix gram(state.range(1), state.range(1));
  for (auto _ : state) {
    backend->AccumulateGram(x.view(), gram);
    benchmark::DoNotOptimize(gram.data());
  }
  SetGflops(state, static_cast<double>(state.range(0) * state.range(1) * (state.range(1) + 1)));
}

/// sequences, length, heads, KV heads
void Attention(benchmark::State& state) {
  const auto backend = *MakeBackend("cpu");
  const AttentionShape shape{.sequences = state.range(0),
                             .length = state.range(1),
                             .heads = state.range(2),
                             .kv_heads = state.range(3),
                             .head_size = 64};
  const std::int64_t rows = shape.sequences * shape.length;
  const Matrix q = Filled(rows, shape.heads * shape.head_size);
  const Matrix k = Filled(rows, shape.kv_heads * shape.head_size);
  Matrix out;
  for (auto _ : state) {
    backend->Attention(shape, q.view(), k.view(), k.view(), out);
    benchmark::DoNotOptimize(out.data());
  }
  // Two products over the half of the scores that is not masked.
  SetGflops(state, 2.0 * static_cast<double>(rows * shape.length * shape.heads * shape.head_size));
}

/// rows, columns
void SiluMul(benchmark::State& state) {
  const auto backend = *MakeBackend("cpu");
  const Matrix x = Filled(state.range(0), state.range(1));
  Matrix out;
  for (auto _ : state) {
    backend->SiluMul(x.view(), x.view(), out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0) * state.range(1) * 12);
}

BENCHMARK(Linear)
    ->Args({2048, 256, 768})
    ->Args({2048, 512, 1536})
    ->Args({2048, 2048, 6144})
    ->Args({1, 2048, 6144})
    ->UseRealTime();
BENCHMARK(Gram)->Args({2048, 256})->Args({2048, 1536})->UseRealTime();
BENCHMARK(Attention)->Args({4, 512, 4, 2})->Args({1, 4096, 8, 4})->UseRealTime();
BENCHMARK(SiluMul)->Args({2048, 768})->UseRealTime();

}  // namespace
}  // namespace tyllm::tensor
