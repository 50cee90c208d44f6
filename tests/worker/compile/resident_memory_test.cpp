// SPDX-License-Identifier: Apache-2.0
// What a compilation has in memory, the run that proves it and pages of mapped files included,
// against what is told before.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/support/temporary_directory.h"
#include "worker/compile/compile.h"
#include "worker/compile/compile_memory.h"
#include "worker/compile/fit_report.h"
#include "worker/model/published_models.h"
#include "worker/model/visual_tower.h"
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
/// A cache of so many takes 17 GB in float32.
constexpr std::int64_t kMostPositions = 1 << 20;

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

quant::SynthesisRequest ModelOfText() {
  return {.model = {"made", Shape()}, .quantized = domain::QuantizedFormat::kAwq};
}

/// One that plain loops are soon done with.
quant::SynthesisRequest SmallModel() {
  quant::SynthesisRequest made = ModelOfText();
  model::ModelShape& shape = made.model.shape;
  shape.width = 256;
  shape.intermediate = 512;
  shape.vocabulary = 2000;
  shape.max_positions = kMostPositions;
  return made;
}

/// One in which the tower is what counts: 85 MB in float16 of the merger's, 39 of a block's, 1296
/// patches, and next to nothing of the language model.
quant::SynthesisRequest ModelThatSees() {
  model::PublishedModel made = *quant::FindPublishedModel("Qwen2.5-VL-3B");
  format::Json vision = model::PublishedVision(made.name, made.shape);
  vision["depth"] = 3;
  vision["fullatt_block_indexes"] = {1};
  vision["out_hidden_size"] = 512;
  made.shape.width = 512;
  made.shape.heads = 4;
  made.shape.intermediate = 1024;
  made.shape.vocabulary = 4096;
  made.shape.layers = 1;
  return {.model = made, .quantized = domain::QuantizedFormat::kAwq, .vision = vision};
}

/// What this process may grow by: what was told, without the program itself.
std::int64_t MayGrowBy(std::int64_t told) {
  return told - kMemoryOfProgram + kSlack;
}

struct Growth {
  std::int64_t grown = 0;
  std::int64_t told = 0;
};

Result<Growth> CompileGrows(quant::SynthesisRequest made, const domain::CompileOptions& options,
                            const std::string& compiler, const Path& folder) {
  domain::NoProgress progress;
  CompileRequest request;
  request.model = folder / "model";
  request.options = options;
  request.jobs = kJobs;
  request.allow_missing_tokenizer = true;
  request.compiler = compiler;
  const std::int64_t before = quant::PeakMemoryBytes();
  made.out = request.model;
  TYLLM_TRY(quant::Synthesize(made, progress).status());
  TYLLM_ASSIGN(const Preparation preparation, Preflight(request, NeedsCompiler::kYes));
  TYLLM_ASSIGN(const FitReport fit,
               Fit(preparation, {}, kJobs, ObjectCache(LocalFileSystem(), {})));
  TYLLM_ASSIGN(const CompileSummary compiled,
               Compile(LocalFileSystem(), request, folder / "out", progress));
  if (!compiled.verified) {
    return Internal("it was not run");
  }
  return Growth{quant::PeakMemoryBytes() - before, fit.memory_bytes};
}

/// Ends the process: successfully when it took no more memory than it told.
[[noreturn]] void CompileAndExit(const quant::SynthesisRequest& made,
                                 const domain::CompileOptions& options,
                                 const std::string& compiler = "") {
  int code = EXIT_FAILURE;
  {
    const testing::TemporaryDirectory folder;
    const Result<Growth> growth = CompileGrows(made, options, compiler, folder.path());
    if (growth.ok()) {
      const std::int64_t limit = MayGrowBy(growth->told);
      std::cerr << "grew by " << growth->grown << " bytes, told " << limit << "\n";
      code = growth->grown <= limit ? EXIT_SUCCESS : EXIT_FAILURE;
    } else {
      std::cerr << growth.status().ToString() << "\n";
    }
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
  EXPECT_EXIT(CompileAndExit(ModelOfText(), {.dies = 4, .max_kv = kTokens}),
              ::testing::ExitedWithCode(EXIT_SUCCESS), "grew");
}

TEST_F(ResidentMemory, IsItWithAnEmbeddingTableOfTheHost) {
  EXPECT_EXIT(
      CompileAndExit(ModelOfText(), {.dies = 4, .max_kv = kTokens, .embedding_as_input = true}),
      ::testing::ExitedWithCode(EXIT_SUCCESS), "grew");
}

TEST_F(ResidentMemory, OfAModelThatSeesIsWhatWasTold) {
  EXPECT_EXIT(
      CompileAndExit(ModelThatSees(), {.dies = 2, .max_kv = 512, .visual = {.image = "512x512"}}),
      ::testing::ExitedWithCode(EXIT_SUCCESS), "grew");
}

TEST_F(ResidentMemory, IsItWhenTheModelIsInterpretedWithALongCache) {
  EXPECT_EXIT(CompileAndExit(SmallModel(), {.dies = 1, .max_kv = kMostPositions}, "none"),
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
