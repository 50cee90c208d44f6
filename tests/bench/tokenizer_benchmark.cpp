// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of the wikitext that is installed with the program. Bytes a second of one
// core.
#include <benchmark/benchmark.h>

#include <string>

#include "tests/support/paths.h"
#include "worker/model/tokenizer.h"

namespace tyllm::model {
namespace {

const Path kSource = testing::kSourceFolder;

std::string Text() {
  return *LocalFileSystem().Read(kSource / "data/wikitext-2/valid.txt");
}

Tokenizer Load(const char* directory) {
  return *Tokenizer::Load(kSource / directory);
}

void Encode(benchmark::State& state, const char* directory) {
  const Tokenizer tokenizer = Load(directory);
  const std::string text = Text();
  for (auto _ : state) {
    benchmark::DoNotOptimize(tokenizer.Encode(text));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void EncodePrompt(benchmark::State& state, const char* directory) {
  const Tokenizer tokenizer = Load(directory);
  for (auto _ : state) {
    benchmark::DoNotOptimize(tokenizer.Encode("The quick brown fox jumps over the lazy dog."));
  }
}

void Decode(benchmark::State& state, const char* directory) {
  const Tokenizer tokenizer = Load(directory);
  const std::string text = Text();
  const std::vector<TokenId> tokens = *tokenizer.Encode(text);
  for (auto _ : state) {
    benchmark::DoNotOptimize(tokenizer.Decode(tokens));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void LongPiece(benchmark::State& state, const char* directory) {
  const Tokenizer tokenizer = Load(directory);
  const std::string text(1 << 20, 'a');
  for (auto _ : state) {
    benchmark::DoNotOptimize(tokenizer.Encode(text));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void LoadFile(benchmark::State& state, const char* directory) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(Tokenizer::Load(kSource / directory));
  }
}

constexpr const char* kQwen3 = "tests/data/tokenizer/tiny-qwen3";
constexpr const char* kLlama3 = "tests/data/tokenizer/tiny-llama3";

constexpr const char* kLlama2 = "tests/data/tokenizer/tiny-llama2";

BENCHMARK_CAPTURE(Encode, qwen3, kQwen3)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Encode, llama3, kLlama3)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Encode, llama2, kLlama2)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(EncodePrompt, qwen3, kQwen3);
BENCHMARK_CAPTURE(Decode, qwen3, kQwen3)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Decode, llama2, kLlama2)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(LongPiece, qwen3, kQwen3)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(LongPiece, llama2, kLlama2)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(LoadFile, qwen3, kQwen3)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tyllm::model
