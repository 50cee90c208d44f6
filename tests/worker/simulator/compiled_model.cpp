// SPDX-License-Identifier: Apache-2.0
#include "tests/worker/simulator/compiled_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/model_directory.h"
#include "tests/support/paths.h"
#include "worker/compile/compile.h"

namespace tyllm::simulator::testing {

namespace {

/// What cannot go on aborts the test program, with the message.
template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.status().ToString();
    TYLLM_CHECK(false);
  }
  return *std::move(result);
}

}  // namespace

void WriteQuantizedModel(const Path& directory, const tyllm::testing::StorageVariant& variant) {
  format::Json config = tyllm::testing::ModelDirectory::SmallQwen3Config();
  config["hidden_size"] = 128;
  config["num_attention_heads"] = 4;
  config["num_key_value_heads"] = 2;
  config["head_dim"] = 32;
  config["intermediate_size"] = 320;
  config["vocab_size"] = 101;
  config["eos_token_id"] = 100;
  tyllm::testing::ModelDirectory::Quantized(config, variant, 64).Write(directory);
}

Path GoldenModel() {
  return Path(tyllm::testing::kTestData) / "goldens" / "tiny-qwen3";
}

Path Compile(const Path& model, const Path& out, const domain::CompileOptions& options) {
  compile::CompileRequest request;
  request.model = model;
  request.options = options;
  request.cache = Path(TYLLM_TEST_OBJECTS) / "cache";
  request.allow_missing_tokenizer = true;
  domain::NoProgress progress;
  return Must(compile::Compile(LocalFileSystem(), request, out, progress)).directory;
}

domain::CompileOptions Options(std::int64_t dies) {
  domain::CompileOptions options;
  options.dies = dies;
  options.seq_lens = {1, 8, 16};
  options.max_kv = 64;
  return options;
}

LoadedArtifact Load(const Path& directory, Engine engine) {
  return Must(LoadedArtifact::Load(directory, engine));
}

Session Open(const LoadedArtifact& loaded, const SessionOptions& options) {
  return Must(Session::Open(loaded, options));
}

std::vector<std::int32_t> SomeTokens(std::size_t count, std::int32_t vocabulary) {
  std::vector<std::int32_t> tokens(count);
  for (std::size_t i = 0; i < count; ++i) {
    tokens[i] = static_cast<std::int32_t>((i * 2654435761U + 12345U) >> 7U) % vocabulary;
    tokens[i] = std::abs(tokens[i]);
  }
  return tokens;
}

double LargestDifference(std::span<const float> a, std::span<const float> b) {
  double largest = a.size() == b.size() ? 0.0 : INFINITY;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - b[i]);
    largest = difference <= largest ? largest : difference;
  }
  return largest;
}

}  // namespace tyllm::simulator::testing
