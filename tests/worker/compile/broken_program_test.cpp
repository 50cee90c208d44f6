// SPDX-License-Identifier: Apache-2.0

// Compilers that make one of the programs wrong, and what the proof says of it.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/compile/compile.h"
#include "worker/simulator/filled_calls.h"

namespace tyllm::compile {
namespace {

using testing::GoldenRequest;
using tyllm::testing::TemporaryDirectory;

/// Runs segments as if there were no history whenever a call has more than one token.
constexpr const char* kForgetful =
    "s/PhasesOf(segment, layer)\\[phase\\].run(\\*die, layer, part);/"
    "DieContext forgetful = *die; if (die->tokens > 1) { forgetful.history = 0; } "
    "PhasesOf(segment, layer)[phase].run(forgetful, layer, part);/";

/// A compiler that changes programs whose first line has `which` in it.
Path WriteCompiler(const Path& folder, const std::string& which, const std::string& change) {
  const Path script = folder / "compiler";
  EXPECT_TRUE(WriteFileAtomically(LocalFileSystem(), script,
                                  "#!/bin/sh\n"
                                  "if test -f program.cpp && head -1 program.cpp | grep -q '" +
                                      which + "'; then\n  sed -i '" + change +
                                      "' program.cpp\nfi\nexec g++ \"$@\"\n")
                  .ok());
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  return script;
}

/// What is said of a model whose program `which` forgets its history.
Status Proof(const std::vector<std::int64_t>& buckets, const std::string& which) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(1);
  request.options.seq_lens = buckets;
  request.options.max_kv = 256;
  request.compiler = WriteCompiler(folder.path(), which, kForgetful).string();
  request.cache = folder / "cache";
  domain::NoProgress progress;
  return Compile(LocalFileSystem(), request, folder / "out", progress).status();
}

TEST(BrokenProgramTest, AHistoryThatALargeBucketForgetsIsFound) {
  const Status status = Proof({1, 128}, ": llm of ");
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
  EXPECT_NE(status.message().find("program llm of 128 tokens"), std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("1+128"), std::string::npos) << status.message();
}

TEST(BrokenProgramTest, AHistoryThatADecodeProgramForgetsIsFound) {
  const Status status = Proof({1, 8}, "llm_decode of .*, 8 tokens");
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
}

TEST(FilledCallsTest, LargeModelsReadNoMoreThanTheReferencesText) {
  model::ModelShape shape;
  shape.layers = 2;
  shape.width = 64;
  shape.heads = shape.kv_heads = 1;
  shape.head_size = 64;
  shape.intermediate = 128;
  shape.vocabulary = 100;
  EXPECT_EQ(simulator::TokensBehindOne(shape, 128, 1024, 115), 128);
  EXPECT_EQ(simulator::TokensBehindOne(shape, 128, 128, 115), 127);
  EXPECT_EQ(simulator::TokensBehindOne(shape, 8, 1024, 115), 8);
  shape.layers = 80;
  shape.width = 8192;
  shape.heads = shape.kv_heads = 64;
  shape.head_size = 128;
  shape.intermediate = 28672;
  EXPECT_EQ(simulator::TokensBehindOne(shape, 128, 1024, 115), 114);
  EXPECT_EQ(simulator::TokensBehindOne(shape, 96, 1024, 115), 96);
}

}  // namespace
}  // namespace tyllm::compile
