// SPDX-License-Identifier: Apache-2.0

// Kernels of worker/die on one thread, at shapes of Qwen3-0.6B. Weights are 64 MiB of copies, so
// that they come from memory as in a model. GB/s is of packed weights, GOP/s counts a multiply and
// an add as two.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "worker/die/kernels.h"

namespace tyllm::die {
namespace {

constexpr std::size_t kMemory = std::size_t{64} << 20U;

/// Random bytes with scales that are finite: exponents of every 16-bit word are kept small.
const std::byte* Weights() {
  static const std::vector<std::uint64_t> memory = [] {
    std::mt19937_64 random(1);
    std::vector<std::uint64_t> words(kMemory / 8 + 8);
    for (std::uint64_t& word : words) {
      word = random() & 0x3FFF3FFF3FFF3FFFU;
    }
    return words;
  }();
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  return reinterpret_cast<const std::byte*>(RoundUp(address, 64));
}

std::vector<float> Inputs(std::size_t count) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> out(count);
  for (float& x : out) {
    x = normal(random);
  }
  return out;
}

void Count(benchmark::State& state, double bytes, double operations) {
  const auto runs = static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(bytes * runs * 1e-9, benchmark::Counter::kIsRate);
  state.counters["GOP/s"] =
      benchmark::Counter(operations * runs * 1e-9, benchmark::Counter::kIsRate);
}

template <int Rows, int Columns, int Group>
void Linear4Tokens(benchmark::State& state) {
  const auto tokens = static_cast<std::uint32_t>(state.range(0));
  constexpr std::size_t kBytes = Linear4Bytes(Rows, Columns, Group);
  const std::vector<float> x = Inputs(tokens * Columns);
  std::vector<std::uint64_t> memory(ActivationBytes(tokens, Columns, Group) / 8 + 8);
  auto* const place =
      reinterpret_cast<std::byte*>(RoundUp(reinterpret_cast<std::uintptr_t>(memory.data()), 64));
  const Activations a = ActivationsAt<Columns, Group>(place, tokens);
  QuantizeActivations<Columns, Group>(x.data(), Columns, tokens, a);
  std::vector<float> out(static_cast<std::size_t>(tokens) * Rows);
  std::size_t at = 0;
  for (auto _ : state) {
    Linear4<Rows, Columns, Group>(Weights() + at, a, tokens, out.data());
    benchmark::DoNotOptimize(out.data());
    at = at + 2 * kBytes <= kMemory ? at + kBytes : 0;
  }
  Count(state, kBytes, 2.0 * Rows * Columns * tokens);
}

BENCHMARK(Linear4Tokens<4608, 1024, 128>)->Arg(1)->Arg(8)->Arg(96);
BENCHMARK(Linear4Tokens<1024, 3072, 128>)->Arg(1)->Arg(8)->Arg(96);
BENCHMARK(Linear4Tokens<1024, 1024, 64>)->Arg(1)->Arg(96);
BENCHMARK(Linear4Tokens<1024, 1024, 32>)->Arg(1)->Arg(96);

template <int Rows, int Columns>
void LinearF16Tokens(benchmark::State& state) {
  const auto tokens = static_cast<std::uint32_t>(state.range(0));
  const std::vector<float> x = Inputs(tokens * Columns);
  std::vector<float> out(static_cast<std::size_t>(tokens) * Rows);
  for (auto _ : state) {
    LinearF16<Rows, Columns>(Weights(), x.data(), tokens, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  Count(state, LinearF16Bytes(Rows, Columns), 2.0 * Rows * Columns * tokens);
}

BENCHMARK(LinearF16Tokens<32768, 1024>)->Arg(1)->Arg(8);

template <int Rows, int Columns>
void LinearF16In12Tokens(benchmark::State& state) {
  constexpr int kRoom = 11;
  const auto tokens = static_cast<std::uint32_t>(state.range(0));
  std::vector<std::uint64_t> memory(LinearF16In12Bytes(Rows, Columns, kRoom) / 8 + 8);
  std::copy_n(reinterpret_cast<const std::uint64_t*>(Weights()), memory.size(), memory.data());
  auto* const packed =
      reinterpret_cast<std::byte*>(RoundUp(reinterpret_cast<std::uintptr_t>(memory.data()), 64));
  for (std::size_t b = 0; b < Rows / kRowBlock; ++b) {  // no exceptions
    std::memset(packed + b * LinearF16In12BlockBytes(Columns, kRoom), 0x3C, 16);
    std::memset(packed + b * LinearF16In12BlockBytes(Columns, kRoom) + 16, 0, 4);
  }
  const std::vector<float> x = Inputs(tokens * Columns);
  std::vector<float> out(static_cast<std::size_t>(tokens) * Rows);
  for (auto _ : state) {
    LinearF16In12<Rows, Columns, kRoom>(packed, x.data(), tokens, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  Count(state, LinearF16In12Bytes(Rows, Columns, kRoom), 2.0 * Rows * Columns * tokens);
}

BENCHMARK(LinearF16In12Tokens<32768, 1024>)->Arg(1)->Arg(8);

void AttentionAt(benchmark::State& state) {
  constexpr int kHeads = 16;
  constexpr int kKvHeads = 8;
  constexpr int kHead = 128;
  constexpr int kMaxKv = 1024;
  const auto tokens = static_cast<std::uint32_t>(state.range(0));
  const std::uint32_t history = kMaxKv - tokens;
  std::vector<std::uint64_t> memory(KvLayerBytes(kKvHeads, kHead, kMaxKv) / 8 + 8);
  auto* const place =
      reinterpret_cast<std::byte*>(RoundUp(reinterpret_cast<std::uintptr_t>(memory.data()), 64));
  const KvCache<kKvHeads, kHead, kMaxKv> cache{place};
  const std::vector<float> rows = Inputs(kMaxKv * kHeads * kHead);
  WriteKv(rows.data(), rows.data(), kKvHeads * kHead, 0, kMaxKv, cache);
  std::int32_t kv_of[kHeads];
  for (int h = 0; h < kHeads; ++h) {
    kv_of[h] = h / 2;
  }
  std::vector<float> scratch(AttentionScratchFloats(kMaxKv));
  std::vector<float> out(static_cast<std::size_t>(tokens) * kHeads * kHead);
  for (auto _ : state) {
    Attention<kHeads>(rows.data(), kHeads * kHead, cache, kv_of, history, tokens, scratch.data(),
                      out.data());
    benchmark::DoNotOptimize(out.data());
  }
  Count(state, static_cast<double>(KvLayerBytes(kKvHeads, kHead, kMaxKv)),
        4.0 * kHeads * kHead * kMaxKv * tokens);
}

BENCHMARK(AttentionAt)->Arg(1)->Arg(8)->Arg(96);

void QuantizeRow(benchmark::State& state) {
  constexpr int kColumns = 4096;
  const std::vector<float> x = Inputs(kColumns);
  std::vector<std::uint64_t> memory(ActivationBytes(1, kColumns, 128) / 8 + 8);
  const Activations a =
      ActivationsAt<kColumns, 128>(reinterpret_cast<std::byte*>(memory.data()), 1);
  for (auto _ : state) {
    QuantizeActivations<kColumns, 128>(x.data(), kColumns, 1, a);
    benchmark::DoNotOptimize(a.values);
  }
  Count(state, kColumns * 4.0, 0);
}

BENCHMARK(QuantizeRow);

void SiluMulRow(benchmark::State& state) {
  constexpr int kColumns = 3072;
  const std::vector<float> x = Inputs(2 * kColumns);
  std::vector<float> out(kColumns);
  for (auto _ : state) {
    SiluMul<kColumns>(x.data(), x.data() + kColumns, 1, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  Count(state, kColumns * 12.0, 0);
}

BENCHMARK(SiluMulRow);

}  // namespace
}  // namespace tyllm::die
