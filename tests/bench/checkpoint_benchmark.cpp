// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <vector>

#include "common/format/float_arrays.h"
#include "worker/model/awq_gemm.h"

// Reading weights: the largest linear layer of Qwen3-1.7B, 6144 x 2048. Items are weights.
namespace tyllm {
namespace {

constexpr std::int64_t kOut = 6144;
constexpr std::int64_t kIn = 2048;
constexpr std::int64_t kGroup = 128;

void CountWeights(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * kOut * kIn);
}

model::QuantizedMatrix Matrix() {
  model::QuantizedMatrix matrix{kOut, kIn, kGroup, {}, {}, {}};
  matrix.q.resize(static_cast<std::size_t>(kOut * kIn));
  for (std::size_t i = 0; i < matrix.q.size(); ++i) {
    matrix.q[i] = static_cast<std::uint8_t>(i * 7 % 16);
  }
  matrix.zero.assign(static_cast<std::size_t>(kOut * matrix.groups()), 8);
  matrix.scale.assign(matrix.zero.size(), 0x2000);
  return matrix;
}

void BM_HalvesToFloats(benchmark::State& state) {
  const std::vector<std::byte> halves(static_cast<std::size_t>(2 * kOut * kIn));
  std::vector<float> floats(static_cast<std::size_t>(kOut * kIn));
  for (auto _ : state) {
    format::HalvesToFloats(halves, floats);
    benchmark::DoNotOptimize(floats.data());
  }
  CountWeights(state);
}

void BM_BFloat16sToFloats(benchmark::State& state) {
  const std::vector<std::byte> bfloats(static_cast<std::size_t>(2 * kOut * kIn));
  std::vector<float> floats(static_cast<std::size_t>(kOut * kIn));
  for (auto _ : state) {
    format::BFloat16sToFloats(bfloats, floats);
    benchmark::DoNotOptimize(floats.data());
  }
  CountWeights(state);
}

void BM_PackAwqGemm(benchmark::State& state) {
  const model::QuantizedMatrix matrix = Matrix();
  for (auto _ : state) {
    benchmark::DoNotOptimize(model::PackAwqGemm(matrix));
  }
  CountWeights(state);
}

void BM_UnpackAwqGemm(benchmark::State& state) {
  const auto packed = model::PackAwqGemm(Matrix());
  const model::AwqGemmBytes bytes{std::as_bytes(std::span(packed->qweight)),
                                  std::as_bytes(std::span(packed->qzeros)),
                                  std::as_bytes(std::span(packed->scales))};
  for (auto _ : state) {
    benchmark::DoNotOptimize(model::UnpackAwqGemm(kOut, kIn, kGroup, bytes));
  }
  CountWeights(state);
}

void BM_Dequantize(benchmark::State& state) {
  const model::QuantizedMatrix matrix = Matrix();
  for (auto _ : state) {
    benchmark::DoNotOptimize(matrix.Dequantize());
  }
  CountWeights(state);
}

BENCHMARK(BM_HalvesToFloats);
BENCHMARK(BM_BFloat16sToFloats);
BENCHMARK(BM_PackAwqGemm);
BENCHMARK(BM_UnpackAwqGemm);
BENCHMARK(BM_Dequantize);

}  // namespace
}  // namespace tyllm
