// SPDX-License-Identifier: Apache-2.0
// What a compilation has in memory, the run that proves it and pages of mapped files included,
// against what is told before.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/support/temporary_directory.h"
#include "worker/compile/compile.h"
#include "worker/compile/compile_memory.h"
#include "worker/model/published_models.h"
#include "worker/quant/quantization_memory.h"
#include "worker/quant/synthesize.h"
#include "worker/simulator/verify.h"

namespace tyllm::compile {
namespace {

/// What the C library keeps of freed memory; most blocks of this small model are in its heap.
constexpr std::int64_t kSlack = 24'000'000;
constexpr int kJobs = 2;
/// A small model for its many layers: 12.5 MB each, and 61 MB the embedding and as much the head.
constexpr std::int64_t kLayers = 8;
/// So that the reference is soon done.
constexpr std::int64_t kTokens = 32;

model::ModelShape Shape() {
  model::ModelShape shape = quant::FindPublishedModel("Qwen3-0.6B")->shape;
  shape.width = 512;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.intermediate = 14336;
  shape.vocabulary = 60000;
  shape.layers = kLayers;
  shape.tied_head = false;
  return shape;
}

/// What this process may grow by: what was told, without the program itself.
std::int64_t MayGrowBy(std::int64_t told) {
  return told - kMemoryOfProgram + kSlack;
}

Result<std::int64_t> CompileGrows(const domain::CompileOptions& options, const Path& folder) {
  domain::NoProgress progress;
  CompileRequest request;
  request.model = folder / "model";
  request.options = options;
  request.jobs = kJobs;
  request.allow_missing_tokenizer = true;
  const std::int64_t before = quant::PeakMemoryBytes();
  quant::SynthesisRequest made;
  made.model = {"made", Shape()};
  made.out = request.model;
  made.quantized = domain::QuantizedFormat::kAwq;
  TYLLM_TRY(quant::Synthesize(made, progress).status());
  TYLLM_ASSIGN(const CompileSummary compiled,
               Compile(LocalFileSystem(), request, folder / "out", progress));
  if (!compiled.verified) {
    return Internal("it was not run");
  }
  return quant::PeakMemoryBytes() - before;
}

/// Ends the process: successfully when it took no more memory than it told.
[[noreturn]] void CompileAndExit(const domain::CompileOptions& options) {
  int code = EXIT_FAILURE;
  {
    const testing::TemporaryDirectory folder;
    const Result<std::int64_t> grown = CompileGrows(options, folder.path());
    const std::int64_t limit = MayGrowBy(CompileMemory(Shape(), 128, options, kJobs));
    std::cerr << (grown.ok() ? "grew by " + std::to_string(*grown) : grown.status().ToString())
              << " bytes, told " << limit << "\n";
    code = grown.ok() && *grown <= limit ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  std::exit(code);
}

class ResidentMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // a fresh process
  }
};

TEST_F(ResidentMemory, OfCompilingAndProvingIsWhatWasTold) {
  EXPECT_EXIT(CompileAndExit({.dies = 4, .max_kv = kTokens}),
              ::testing::ExitedWithCode(EXIT_SUCCESS), "grew");
}

TEST_F(ResidentMemory, IsItWithAnEmbeddingTableOfTheHost) {
  EXPECT_EXIT(CompileAndExit({.dies = 4, .max_kv = kTokens, .embedding_as_input = true}),
              ::testing::ExitedWithCode(EXIT_SUCCESS), "grew");
}

TEST(CompileMemory, GrowsWithTheCachesOfTheProofOnly) {
  for (const model::PublishedModel& published : model::PublishedModels()) {
    model::ModelShape shape = published.shape;
    const std::int64_t before = CompileMemory(shape, 128, {.dies = 4}, 2);
    shape.layers *= 2;
    const std::int64_t after = CompileMemory(shape, 128, {.dies = 4}, 2);
    EXPECT_GE(after, before) << published.name;
    EXPECT_LT(after, before + published.shape.layers * 8'000'000) << published.name;
  }
}

TEST(CompileMemory, Of32BillionWeightsOnFourDiesIsBelowTwoGibibytes) {
  const auto published = quant::FindPublishedModel("DeepSeek-R1-Distill-Qwen-32B");
  ASSERT_TRUE(published.ok());
  for (const std::vector<std::int64_t>& buckets :
       {std::vector<std::int64_t>{1, 8}, std::vector<std::int64_t>{1, 8, 96}}) {
    EXPECT_LT(CompileMemory(published->shape, 128, {.dies = 4, .seq_lens = buckets}, 16),
              std::int64_t{2} << 30U);
  }
}

}  // namespace
}  // namespace tyllm::compile
