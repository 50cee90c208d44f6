// SPDX-License-Identifier: Apache-2.0

// Checkpoints of every format, made of one set of integers: evaluated, compiled and run.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temporary_directory.h"
#include "tests/worker/simulator/compiled_model.h"
#include "worker/artifact/layout.h"
#include "worker/forward/generator.h"
#include "worker/simulator/generate.h"
#include "worker/simulator/verify.h"

namespace tyllm::simulator {
namespace {

using namespace testing;
using model::CheckpointFormat;
using tyllm::testing::StorageVariant;

struct Outcome {
  std::vector<std::int32_t> evaluated;
  std::vector<std::int32_t> run;
  std::string parameters;
  bool operator==(const Outcome&) const = default;
};

Outcome OutcomeOf(const StorageVariant& variant) {
  const tyllm::testing::TemporaryDirectory folder;
  WriteQuantizedModel(folder / "model", variant);
  const std::vector<std::int32_t> prompt = SomeTokens(21, 100);
  Outcome outcome;
  const auto model = forward::OpenModel(folder / "model");
  EXPECT_TRUE(model.ok()) << model.status().ToString();
  const auto backend = tensor::MakeBackend("cpu", 1);
  outcome.evaluated = *forward::Generator(*model, **backend)
                           .Generate({.prompt = prompt, .max_tokens = 24, .stop = {}});
  const Path compiled = Compile(folder / "model", folder / "out", Options(1));
  outcome.parameters = *LocalFileSystem().Read(compiled / "batch_1" / "common_die0.params");
  const LoadedArtifact loaded = Load(compiled);
  Session session = Open(loaded);
  outcome.run = Generate(session, {prompt, 24, {}}, SystemClock())->tokens;
  return outcome;
}

TEST(Formats, OfOneModelEvaluateCompileAndRunAlike) {
  const Outcome awq = OutcomeOf({CheckpointFormat::kAwqGemm});
  EXPECT_EQ(awq.run, awq.evaluated);
  EXPECT_EQ(awq.run.size(), 24U);
  for (const StorageVariant& variant :
       {StorageVariant{CheckpointFormat::kAmtc},
        StorageVariant{CheckpointFormat::kCompressedTensors},
        StorageVariant{CheckpointFormat::kGptq},
        StorageVariant{.format = CheckpointFormat::kGptq, .gptq_v2 = true}}) {
    EXPECT_TRUE(OutcomeOf(variant) == awq) << model::kCheckpointFormatNames.Name(variant.format);
  }
}

TEST(Formats, SymmetricLayersRunAsTheyAreEvaluated) {
  const Outcome symmetric =
      OutcomeOf({.format = CheckpointFormat::kCompressedTensors, .symmetric = true});
  EXPECT_EQ(symmetric.run, symmetric.evaluated);
}

/// What a model compiled with 8-bit numbers says of itself, after its own verification.
struct Measurement {
  artifact::Measured measured;
  std::uintmax_t common_bytes = 0;
};

Measurement MeasureWith(const Path& model, const domain::CompileOptions& options) {
  const tyllm::testing::TemporaryDirectory folder;
  const Path compiled = Compile(model, folder / "out", options);
  domain::NoProgress progress;
  const auto report = Verify({.directory = compiled}, progress);
  EXPECT_TRUE(report.ok()) << report.status().ToString();
  const LoadedArtifact loaded = Load(compiled);
  EXPECT_EQ(loaded.artifact().manifest.options, options);
  return {loaded.artifact().manifest.measured.value(),
          std::filesystem::file_size(compiled / artifact::CommonParams(0))};
}

TEST(Formats, EightBitHeadsAndActivationsAreSmallerAndMeasured) {
  const tyllm::testing::TemporaryDirectory folder;
  WriteQuantizedModel(folder / "model");
  domain::CompileOptions options = Options(2);
  options.seq_lens = {1, 8};
  const Measurement exact = MeasureWith(folder / "model", options);
  options.head = domain::HeadNumbers::kInt8;
  const Measurement head = MeasureWith(folder / "model", options);
  options.activations = domain::ActivationNumbers::kInt8;
  const Measurement both = MeasureWith(folder / "model", options);
  EXPECT_LT(head.common_bytes, exact.common_bytes);
  EXPECT_EQ(both.common_bytes, head.common_bytes);
  EXPECT_GT(head.measured.kl_divergence, exact.measured.kl_divergence);
  EXPECT_GT(both.measured.kl_divergence, head.measured.kl_divergence);
  EXPECT_LT(both.measured.kl_divergence, 1e-2);
}

}  // namespace
}  // namespace tyllm::simulator
