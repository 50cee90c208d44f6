// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/preparation.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/compile/warnings.h"

namespace tyllm::compile {
namespace {

using testing::GoldenRequest;

Result<Preparation> PrepareQuietly(const CompileRequest& request) {
  domain::NoProgress progress;
  return Prepare(request, NeedsCompiler::kNo, progress);
}

TEST(PreparationTest, AllProblemsComeAtOnce) {
  CompileRequest request = GoldenRequest(2);
  request.options.max_kv = 4;
  request.options.target_cpu = "z80";
  request.jobs = -1;
  request.allow_missing_tokenizer = false;
  const auto prepared = PrepareQuietly(request);
  ASSERT_EQ(prepared.status().code(), StatusCode::kInvalidArgument);
  for (const char* part : {"4 problems", "seq_lens", "z80", "jobs is -1", "tokenizer.json"}) {
    EXPECT_NE(prepared.status().message().find(part), std::string::npos)
        << part << " in " << prepared.status().message();
  }
}

/// What Preflight says of a request.
std::string ProblemsOf(const CompileRequest& request) {
  return Preflight(request, NeedsCompiler::kNo).status().message();
}

CompileRequest SeeingRequest() {
  CompileRequest request = GoldenRequest(1);
  request.model = Path(tyllm::testing::kTestData) / "goldens" / "tiny-qwen2.5-vl";
  request.options.max_kv = 512;
  return request;
}

TEST(PreparationTest, OptionsOfModelsThatSeeAreRefusedOfATextModelWithEverythingElse) {
  CompileRequest request = GoldenRequest(17);
  request.options.max_kv = 2000;
  request.options.visual.image = "3x3";
  request.options.visual.frames = 999;
  request.options.activations = domain::ActivationNumbers::kInt8;
  const std::string problems = ProblemsOf(request);
  for (const char* part : {"5 problems", "dies is 17", "--max-kv is 2000", "--image is for models",
                           "--frames is for models", "--activations int8 is for quantized"}) {
    EXPECT_NE(problems.find(part), std::string::npos) << part << " in " << problems;
  }
}

TEST(PreparationTest, EveryProblemOfAModelThatSeesComesAtOnce) {
  CompileRequest request = SeeingRequest();
  request.compiler = "none";
  request.options.dies = 17;
  request.options.max_kv = 70;
  request.options.visual.frames = 999;
  request.options.visual.image = "640x480";
  const std::string problems = ProblemsOf(request);
  for (const char* part :
       {"4 problems", "dies is 17", "frames is 999", "without a compiler", "an image becomes"}) {
    EXPECT_NE(problems.find(part), std::string::npos) << part << " in " << problems;
  }
  request.options.visual.image = "961x3";
  EXPECT_NE(ProblemsOf(request).find("4 problems"), std::string::npos) << ProblemsOf(request);
}

TEST(PreparationTest, WhatDependsOnAWrongOptionIsNotHeldAgainstIt) {
  CompileRequest request = GoldenRequest(0);
  request.options.max_kv = 0;
  request.options.reduce_group = 1;
  request.options.attention_dies = 1;
  const std::string problems = ProblemsOf(request);
  EXPECT_NE(problems.find("2 problems"), std::string::npos) << problems;
  EXPECT_EQ(problems.find("to 0"), std::string::npos) << problems;
}

TEST(PreparationTest, WhatTheVendorsToolchainIsNotToldOfIsRefused) {
  CompileRequest request = SeeingRequest();
  request.options.target = domain::CompileTarget::kTytvm;
  request.options.head = domain::HeadNumbers::kInt8;
  request.options.keep_source = true;
  request.options.target_cpu = "native";
  request.options.visual.modality = domain::Modality::kVideo;
  request.compiler = "none";
  const std::string problems = ProblemsOf(request);
  for (const char* part : {"6 problems", "head was asked for", "keep_source was", "target_cpu was",
                           "modality was", "--compiler is none", "add --text-only"}) {
    EXPECT_NE(problems.find(part), std::string::npos) << part << " in " << problems;
  }
  request = SeeingRequest();
  request.options.target = domain::CompileTarget::kTytvm;
  request.options.visual.text_only = true;
  EXPECT_EQ(ProblemsOf(request), "");
}

TEST(PreparationTest, WarnsOfFilesThatTheOutputWillLackAndOfDiesWithoutHeads) {
  CompileRequest request = GoldenRequest(16);
  request.options.attention_dies = 15;
  const auto prepared = Preflight(request, NeedsCompiler::kNo);
  ASSERT_TRUE(prepared.ok()) << prepared.status().ToString();
  std::string all;
  for (const std::string& warning : Warnings(*prepared)) {
    all += warning + "\n";
  }
  EXPECT_NE(all.find("tokenizer_config.json is missing"), std::string::npos) << all;
  EXPECT_NE(all.find("--attention-dies is 15"), std::string::npos) << all;
  EXPECT_EQ(all.find("generation_config.json is missing"), std::string::npos) << all;
}

TEST(PreparationTest, ACacheOfMoreTokensThanTheModelHasPositionsIsRefused) {
  CompileRequest request = GoldenRequest(1);
  request.options.max_kv = 1024;
  EXPECT_TRUE(PrepareQuietly(request).ok());
  request.options.max_kv = 1032;
  const auto prepared = PrepareQuietly(request);
  ASSERT_EQ(prepared.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(prepared.status().message().find("--max-kv is 1032"), std::string::npos);
}

TEST(PreparationTest, AMissingModelIsNotFound) {
  CompileRequest request = GoldenRequest(1);
  request.model = "/nowhere/model";
  EXPECT_EQ(PrepareQuietly(request).status().code(), StatusCode::kNotFound);
}

/// A request for a copy of the golden model.
CompileRequest CopyRequest(const Path& folder) {
  CompileRequest request = GoldenRequest(1);
  std::filesystem::copy(request.model, folder, std::filesystem::copy_options::recursive);
  request.model = folder;
  return request;
}

void WriteText(const Path& path, std::string_view text) {
  ASSERT_TRUE(LocalFileSystem().CreateDirectories(path.parent_path()).ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, text).ok());
}

TEST(PreparationTest, TheModelIsWhatIsUsedOfItsFolder) {
  const tyllm::testing::TemporaryDirectory folder;
  const CompileRequest request = CopyRequest(folder / "model");
  const std::string digest = PrepareQuietly(request)->model_digest;
  for (const char* const name :
       {".cache/huggingface/download/config.json.metadata", ".git/HEAD", ".DS_Store",
        "pytorch_model.bin", "out/1die/config.json", "out/1die/batch_1/common_die0.params"}) {
    WriteText(request.model / name, "not of the model");
    EXPECT_EQ(PrepareQuietly(request)->model_digest, digest) << name;
  }
  WriteText(request.model / "chat_template.jinja", "of the model");
  const std::string another = PrepareQuietly(request)->model_digest;
  EXPECT_NE(another, digest);
  std::string weights = *LocalFileSystem().Read(request.model / "model.safetensors");
  weights.back() ^= 1;
  WriteText(request.model / "model.safetensors", weights);
  EXPECT_NE(PrepareQuietly(request)->model_digest, another);
}

TEST(PreparationTest, FilesOfTheModelMayNotHaveNamesOfTheOutput) {
  const tyllm::testing::TemporaryDirectory folder;
  const CompileRequest request = CopyRequest(folder / "model");
  for (const char* const name : {"assets/batch_1/picture.svg", "LICENSE", "visuals/picture.svg"}) {
    WriteText(request.model / name, "of the model");
  }
  ASSERT_TRUE(Preflight(request, NeedsCompiler::kNo).ok());
  for (const char* const name :
       {"batch_1/seqlen_1/llm_decode_die0.so", "visual/vit_die0.so", "mrope/notes.txt",
        "unfinished_params/notes.txt", "compute_rope_param.so", "embedding.params",
        "buffer_config.json", "manifest.json", "verification.json"}) {
    WriteText(request.model / name, "of the model");
    const Status status = Preflight(request, NeedsCompiler::kNo).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << name;
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
    std::filesystem::remove_all(request.model / *Path(name).begin());
  }
  EXPECT_TRUE(Preflight(request, NeedsCompiler::kNo).ok());
}

TEST(PreparationTest, ATokenizerThatCannotBeReadIsToldOfBeforeTheWork) {
  const tyllm::testing::TemporaryDirectory folder;
  const CompileRequest request = CopyRequest(folder / "model");
  WriteText(request.model / "tokenizer.json", "{\"model\": ");
  const Status status = Preflight(request, NeedsCompiler::kNo).status();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("tokenizer.json"), std::string::npos) << status.message();
}

TEST(PreparationTest, ATokenizerOfAnotherModelIsToldOfBeforeTheWork) {
  const tyllm::testing::TemporaryDirectory folder;
  CompileRequest request = CopyRequest(folder / "model");  // 512 tokens
  const Path tokenizer = Path(tyllm::testing::kTestData) / "tokenizer" / "tiny-qwen3";
  const auto expect_named = [&] {
    const Status status = Preflight(request, NeedsCompiler::kNo).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find("expected 0 to 511"), std::string::npos) << status.message();
  };
  request.source_tokenizer = tokenizer;
  expect_named();
  request.source_tokenizer.clear();
  std::filesystem::copy_file(tokenizer / "tokenizer.json", request.model / "tokenizer.json");
  expect_named();
}

TEST(PreparationTest, ATokenizerOfAFormThatIsNotReadIsNoProblem) {
  const tyllm::testing::TemporaryDirectory folder;
  const CompileRequest request = CopyRequest(folder / "model");
  WriteText(request.model / "tokenizer.json", R"({"normalizer": {"type": "BertNormalizer"},
    "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece"},
    "model": {"type": "WordPiece", "vocab": {}}})");
  const Status status = Preflight(request, NeedsCompiler::kNo).status();
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST(PreparationTest, DiesOfOneShapeShareTheirSource) {
  const auto prepared = PrepareQuietly(GoldenRequest(4));
  ASSERT_TRUE(prepared.ok()) << prepared.status().ToString();
  const auto first = prepared->Plan(0);
  const auto last = prepared->Plan(3);
  ASSERT_TRUE(first.ok() && last.ok());
  for (std::size_t i = 0; i < first->size(); ++i) {
    EXPECT_EQ((*first)[i].generated.source == (*last)[i].generated.source,
              (*first)[i].generated.digest == (*last)[i].generated.digest);
  }
  const auto two = PrepareQuietly(GoldenRequest(2));
  ASSERT_TRUE(two.ok());
  EXPECT_EQ((*two->Plan(0))[0].generated.digest, (*two->Plan(1))[0].generated.digest);
}

TEST(PreparationTest, GeneratedCodeLoopsOverLayersAndHoldsNoWeights) {
  const auto prepared = PrepareQuietly(GoldenRequest(1));
  ASSERT_TRUE(prepared.ok());
  const auto programs = prepared->Plan(0);
  ASSERT_TRUE(programs.ok());
  for (const PlannedProgram& program : *programs) {
    const std::string& source = program.generated.source;
    EXPECT_LT(source.size(), 16U << 10);
    EXPECT_EQ(source.find("layers.0"), std::string::npos);
    EXPECT_NE(source.find("layer < kLayers"), std::string::npos);
    EXPECT_NE(source.find(program.generated.digest), std::string::npos);
  }
}

TEST(PreparationTest, KeyChangesWithWhatTheOutputDependsOn) {
  CompileRequest request = GoldenRequest(1);
  const std::string key = PrepareQuietly(request)->Key();
  EXPECT_EQ(PrepareQuietly(request)->Key(), key);
  request.jobs = 2;
  EXPECT_EQ(PrepareQuietly(request)->Key(), key);
  request.options.keep_source = true;
  EXPECT_NE(PrepareQuietly(request)->Key(), key);
}

TEST(PreparationTest, ProgramsHaveLineTablesWhereTheirSourceIsKept) {
  CompileRequest request = GoldenRequest(1);
  EXPECT_EQ(PrepareQuietly(request)->toolchain.flags.find(kLineTables), std::string::npos);
  request.options.keep_source = true;
  EXPECT_NE(PrepareQuietly(request)->toolchain.flags.find(kLineTables), std::string::npos);
}

}  // namespace
}  // namespace tyllm::compile
