// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/fit_report.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/artifact.h"
#include "worker/artifact/layout.h"
#include "worker/compile/compile.h"

namespace tyllm::compile {
namespace {

using testing::GoldenRequest;

Preparation Checked(const CompileRequest& request) {
  Result<Preparation> preparation = Preflight(request, NeedsCompiler::kNo);
  TYLLM_CHECK(preparation.ok());
  return *std::move(preparation);
}

FitReport FitOf(const CompileRequest& request, const std::vector<Board>& boards) {
  const Result<FitReport> report =
      Fit(Checked(request), boards, 2, ObjectCache(LocalFileSystem(), request.cache));
  EXPECT_TRUE(report.ok()) << report.status().ToString();
  return report.ok() ? *report : FitReport();
}

std::uint64_t NeededWith(CompileRequest request, std::int64_t max_kv) {
  request.options.max_kv = max_kv;
  std::uint64_t most = 0;
  for (const DieFit& die : FitOf(request, {}).die_list) {
    most = std::max(most, die.total_bytes);
  }
  return most;
}

TEST(FitReportTest, SizesAreThoseOfTheCompiledModel) {
  const tyllm::testing::TemporaryDirectory folder;
  const CompileRequest request = GoldenRequest(3);
  const FitReport report = FitOf(request, {});
  domain::NoProgress progress;
  const auto made = Compile(LocalFileSystem(), request, folder / "out", progress);
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  const auto artifact = artifact::OpenArtifact(made->directory);
  ASSERT_TRUE(artifact.ok());
  ASSERT_EQ(report.die_list.size(), 3U);
  for (std::int64_t d = 0; d < 3; ++d) {
    const DieFit& fit = report.die_list[static_cast<std::size_t>(d)];
    const artifact::DieEntry& die = artifact->buffers.die_list[static_cast<std::size_t>(d)];
    EXPECT_EQ(fit.weight_bytes,
              std::filesystem::file_size(made->directory / artifact::CommonParams(d)));
    EXPECT_EQ(fit.kv_bytes, die.kv_bytes);
    std::uint64_t arena = 0;
    for (const artifact::ProgramEntry& program : die.programs) {
      arena = std::max(arena, program.arena_bytes);
    }
    EXPECT_EQ(fit.arena_bytes, arena);
  }
  EXPECT_EQ(report.programs, made->counts.programs);
}

/// Preflight with the compiler, whose name the cache's keys have.
FitReport FitOfCompiled(const CompileRequest& request) {
  const Result<Preparation> preparation = Preflight(request, NeedsCompiler::kYes);
  TYLLM_CHECK(preparation.ok());
  const auto report = Fit(*preparation, {}, 2, ObjectCache(LocalFileSystem(), request.cache));
  TYLLM_CHECK(report.ok());
  return *report;
}

TEST(FitReportTest, TheDirectoryTakesWhatIsTold) {
  const tyllm::testing::TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(4);
  request.options.seq_lens = {1, 8, 16};
  domain::NoProgress progress;
  for (const bool embedding : {false, true}) {
    request.options.embedding_as_input = embedding;
    const Path out = folder / (embedding ? "with table" : "plain");
    const auto made = Compile(LocalFileSystem(), request, out, progress);
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    const FitReport told = FitOfCompiled(request);  // the cache has the objects
    EXPECT_NEAR(static_cast<double>(told.directory_bytes), static_cast<double>(made->bytes),
                0.02 * static_cast<double>(made->bytes));
  }
}

TEST(FitReportTest, CachedObjectsTakeNoTime) {
  const tyllm::testing::TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(2);
  request.cache = folder / "cache";
  const FitReport cold = FitOfCompiled(request);
  EXPECT_EQ(cold.cached_sources, 0);
  EXPECT_GT(cold.stages.compile, 0);
  domain::NoProgress progress;
  ASSERT_TRUE(Compile(LocalFileSystem(), request, folder / "out", progress).ok());
  const FitReport warm = FitOfCompiled(request);
  EXPECT_EQ(warm.cached_sources, warm.distinct_sources);
  EXPECT_EQ(warm.stages.compile, 0);
  EXPECT_LT(warm.seconds, cold.seconds);
}

TEST(FitReportTest, TheLongestContextIsTheLastThatFits) {
  const CompileRequest request = GoldenRequest(2);
  const std::uint64_t memory = NeededWith(request, 256) + 100;
  const FitReport report = FitOf(request, {{"small", memory, 1e9}});
  ASSERT_EQ(report.boards.size(), 1U);
  const BoardFit& fit = report.boards[0];
  EXPECT_TRUE(fit.fits);
  EXPECT_GE(fit.longest_context, 256);
  EXPECT_LE(NeededWith(request, fit.longest_context), memory);
  EXPECT_GT(NeededWith(request, fit.longest_context + 64), memory);
}

TEST(FitReportTest, AModelThatIsTooLargeHasNoContext) {
  const FitReport report = FitOf(GoldenRequest(1), {{"tiny", 1000, 1e9}});
  ASSERT_EQ(report.boards.size(), 1U);
  EXPECT_FALSE(report.boards[0].fits);
  EXPECT_EQ(report.boards[0].longest_context, 0);
}

TEST(FitReportTest, TheModelsPositionsBoundTheContext) {
  const CompileRequest request = GoldenRequest(1);
  const std::int64_t positions = Checked(request).model.shape().max_positions;
  const FitReport report = FitOf(request, {{"huge", 1ULL << 50U, 1e9}});
  EXPECT_LE(report.boards.at(0).longest_context, positions);
  EXPECT_GT(report.boards.at(0).longest_context, positions - 64);
}

TEST(FitReportTest, MoreDiesReadLessATokenEach) {
  const FitReport one = FitOf(GoldenRequest(1), {{"b", 1ULL << 30U, 1e9}});
  const FitReport two = FitOf(GoldenRequest(2), {{"b", 1ULL << 30U, 1e9}});
  EXPECT_LT(two.die_list[0].token_bytes, one.die_list[0].token_bytes);
  EXPECT_GT(two.boards[0].tokens_per_second, one.boards[0].tokens_per_second);
}

TEST(BoardsTest, TheTableThatComesWithTheProgramReads) {
  const Path table = Path(tyllm::testing::kSourceFolder) / "data" / "boards" / "boards.json";
  const auto boards = ReadBoards(table);
  ASSERT_TRUE(boards.ok()) << boards.status().ToString();
  EXPECT_TRUE(FindBoard(*boards, boards->front().name, table).ok());
  const Status missing = FindBoard(*boards, "moon", table).status();
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_NE(missing.message().find(boards->front().name), std::string::npos);
}

TEST(BoardsTest, BadTablesAreNamed) {
  const tyllm::testing::TemporaryDirectory folder;
  const Path table = folder / "boards.json";
  for (const char* text : {"{", R"({"format": "other", "version": 1, "boards": []})",
                           R"({"format": "tyllm-boards", "version": 1, "boards": [{"name": "a"}]})",
                           R"({"format": "tyllm-boards", "version": 1, "boards":
            [{"name": "a", "die_memory_bytes": 0, "bandwidth_bytes_per_second": 1}]})"}) {
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), table, text).ok());
    const Status status = ReadBoards(table).status();
    EXPECT_FALSE(status.ok()) << text;
    EXPECT_NE(status.message().find(table.string()), std::string::npos) << status.message();
  }
}

}  // namespace
}  // namespace tyllm::compile
