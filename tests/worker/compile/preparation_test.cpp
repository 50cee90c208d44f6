// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/preparation.h"

#include <gtest/gtest.h>

#include "tests/worker/compile/golden_model.h"

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
