// SPDX-License-Identifier: Apache-2.0
// The products of compiled visual towers at 960 x 540, by the dies' kernel (binary16 weights) and
// by the BLAS (float32 weights), each on two threads: GFLOP/s.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/parallel.h"
#include "worker/die/linear_rows.h"
#include "worker/die/packing.h"

namespace tyllm::die {
namespace {

constexpr int kThreads = 2;

std::vector<float> Filled(std::size_t count) {
  std::vector<float> numbers(count);
  for (std::size_t i = 0; i < count; ++i) {
    numbers[i] = (static_cast<float>(i * 7919 % 1009) / 1009.0F - 0.5F) * 0.1F;
  }
  return numbers;
}

void SetGflops(benchmark::State& state, double rows, double columns, double depth) {
  state.counters["GFLOP/s"] = benchmark::Counter(
      2 * rows * columns * depth * static_cast<double>(state.iterations()) * 1e-9,
      benchmark::Counter::kIsRate);
}

/// Patches [Patches, Depth] times the transpose of weights [Columns, Depth].
template <int Patches, int Columns, int Depth>
void Dies(benchmark::State& state) {
  const std::vector<float> x = Filled(std::size_t{Patches} * Depth);
  std::vector<float> out(std::size_t{Patches} * Columns);
  const std::vector<std::uint16_t> halves(std::size_t{kRowBlock} * Depth, 0x2C00);  // 1/16
  constexpr std::size_t kBytes = LinearF16BlockBytes(Depth);
  std::vector<std::byte> memory(kBytes * (Columns / kRowBlock) + 64);
  std::byte* const packed =
      memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64);
  for (int block = 0; block < Columns / kRowBlock; ++block) {
    PackF16Block(halves, kRowBlock, Depth, Depth,
                 std::span(packed + kBytes * static_cast<std::size_t>(block), kBytes));
  }
  ThreadPool pool(kThreads);
  for (auto _ : state) {
    pool.ParallelFor(kThreads, [&](std::int64_t thread) {
      const Part part{static_cast<std::uint32_t>(thread), kThreads};
      LinearRows<Columns, Depth>(packed, nullptr, x.data(), Depth, Patches, out.data(),
                                 part.Of(BlocksOf(Columns).end));
    });
    benchmark::DoNotOptimize(out.data());
  }
  SetGflops(state, Patches, Columns, Depth);
}

template <int Patches, int Columns, int Depth>
void OpenBlas(benchmark::State& state) {
  const std::vector<float> x = Filled(std::size_t{Patches} * Depth);
  const std::vector<float> weights = Filled(std::size_t{Columns} * Depth);
  std::vector<float> out(std::size_t{Patches} * Columns);
  openblas_set_num_threads(kThreads);
  for (auto _ : state) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, Patches, Columns, Depth, 1.0F, x.data(),
                Depth, weights.data(), Depth, 0.0F, out.data(), Columns);
    benchmark::DoNotOptimize(out.data());
  }
  SetGflops(state, Patches, Columns, Depth);
  state.SetLabel(openblas_get_corename());
}

// Qwen2.5-VL-3B: q, k and v; the projection behind attention; gate (and up); down.
BENCHMARK(Dies<2584, 3840, 1280>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(OpenBlas<2584, 3840, 1280>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(Dies<2584, 1280, 1280>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(OpenBlas<2584, 1280, 1280>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(Dies<2584, 3424, 1280>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(OpenBlas<2584, 3424, 1280>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(Dies<2584, 1280, 3424>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(OpenBlas<2584, 1280, 3424>)->Unit(benchmark::kMillisecond)->UseRealTime();
// Qwen3-VL-4B: fc1, fc2.
BENCHMARK(Dies<2040, 4096, 1024>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(OpenBlas<2040, 4096, 1024>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(Dies<2040, 1024, 4096>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(OpenBlas<2040, 1024, 4096>)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace tyllm::die
