// SPDX-License-Identifier: Apache-2.0

// Dies that come from elsewhere: only what their records say is put together, and nothing that
// travels with a model takes the place of a program.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/layout.h"
#include "worker/artifact/visual_layout.h"
#include "worker/compile/compile.h"
#include "worker/compile/die_records.h"

namespace tyllm::compile {
namespace {

namespace fs = std::filesystem;

using testing::Contents;
using testing::GoldenRequest;
using tyllm::testing::TemporaryDirectory;

/// Other bytes, as many as before.
void Exchange(const Path& path) {
  std::string bytes = *LocalFileSystem().Read(path);
  ASSERT_FALSE(bytes.empty()) << path;
  bytes[bytes.size() / 2] ^= 0x10;
  fs::remove(path);  // it may be a link to a cache's
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, bytes).ok());
}

void Write(const Path& path, std::string_view text) {
  ASSERT_TRUE(LocalFileSystem().CreateDirectories(path.parent_path()).ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, text).ok());
}

/// A request whose dies 0 and 1 are compiled apart.
class PartsTest : public ::testing::Test {
 protected:
  void Make(const CompileRequest& request) {
    request_ = request;
    for (const std::int64_t die : {0, 1}) {
      const auto made = CompileDies(LocalFileSystem(), request_, {die}, Part(die), progress_);
      ASSERT_TRUE(made.ok()) << made.status().ToString();
    }
  }

  Path Part(std::int64_t die) const { return folder_ / ("part" + std::to_string(die)); }

  Result<CompileSummary> Join() {
    fs::remove_all(folder_ / "joined");
    return Assemble(LocalFileSystem(), request_, {Part(0), Part(1)}, folder_ / "joined", progress_);
  }

  void ExpectRefused(const Path& file) {
    const Status status = Join().status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << file << status.ToString();
    EXPECT_NE(status.message().find(file.filename().string()), std::string::npos)
        << status.ToString();
    EXPECT_FALSE(fs::exists(folder_ / "joined" / "2die"));
  }

  void ExpectExchangeIsRefused(const Path& file) {
    const std::string before = *LocalFileSystem().Read(Part(1) / file);
    Exchange(Part(1) / file);
    ExpectRefused(file);
    Write(Part(1) / file, before);
  }

  void ExpectTheWholesBytes() {
    ASSERT_TRUE(Compile(LocalFileSystem(), request_, folder_ / "whole", progress_).ok());
    const auto joined = Join();
    ASSERT_TRUE(joined.ok()) << joined.status().ToString();
    EXPECT_EQ(Contents(folder_ / "joined"), Contents(folder_ / "whole"));
  }

  TemporaryDirectory folder_;
  CompileRequest request_;
  domain::NoProgress progress_;
};

TEST_F(PartsTest, FilesThatAreNotWhatTheirRecordSaysAreRefused) {
  Make(GoldenRequest(2));
  for (const Path& file :
       {artifact::ProgramObject({plan::ProgramKind::kDecode, 8}, 1), artifact::CommonParams(1),
        artifact::ConstantParams(1, 8), artifact::BindingParams(1, 1)}) {
    ExpectExchangeIsRefused(file);
  }
  ExpectTheWholesBytes();
}

TEST_F(PartsTest, ARecordThatDoesNotNameItsProgramIsRefused) {
  Make(GoldenRequest(2));
  const Path file = artifact::ProgramRecordFile({plan::ProgramKind::kPrefill, 8}, 1);
  format::Json record = *format::ReadJsonFile(Part(1) / file);
  record["files"].erase(0);
  Write(Part(1) / file, format::PrettyJson(record));
  ExpectRefused(file);
}

TEST_F(PartsTest, WhatNoRecordNamesIsLeftOut) {
  Make(GoldenRequest(2));
  Write(Part(0) / "batch_1" / "seqlen_1" / "llm_prefill_die0.so", "nobody's");
  Write(Part(1) / "visual" / "vit_die0.so", "nobody's");
  ExpectTheWholesBytes();
}

TEST_F(PartsTest, FilesOfAModelThatSeesAreComparedToo) {
  CompileRequest request = GoldenRequest(2);
  request.model = Path(tyllm::testing::kTestData) / "goldens" / "tiny-qwen2.5-vl";
  request.options.max_kv = 128;
  request.options.visual.image = "140x110";
  Make(request);
  const auto preparation = Preflight(request, NeedsCompiler::kNo);
  ASSERT_TRUE(preparation.ok());
  for (const Path& file : VisualFilesOfDie(*preparation, 1)) {
    ExpectExchangeIsRefused(file);
  }
  fs::remove(Part(1) / artifact::TowerRecordFile(1));
  ExpectRefused(artifact::TowerRecordFile(1));
}

TEST(DieRecordsTest, DigestsOfProgramsAreThoseOfTheBytesOnTheDisk) {
  const TemporaryDirectory folder;
  const CompileRequest request = GoldenRequest(1);
  domain::NoProgress progress;
  const Path root = folder / "dies";
  ASSERT_TRUE(CompileDies(LocalFileSystem(), request, {0}, root, progress).ok());
  const auto preparation = Prepare(request, NeedsCompiler::kNo, progress);
  ASSERT_TRUE(preparation.ok());
  const auto records = DieRecords::Read(*preparation, DieDigests::kKnown, root);
  ASSERT_TRUE(records.ok()) << records.status().ToString();
  const Path object = artifact::ProgramObject({plan::ProgramKind::kDecode, 1}, 0);
  EXPECT_TRUE(records->Describe(root, object).ok());
  Exchange(root / object);
  EXPECT_EQ(records->Describe(root, object).status().code(), StatusCode::kFailedPrecondition);
}

TEST(PassengersTest, WithTheNameOfAProgramNothingIsMade) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(1);
  fs::copy(request.model, folder / "model", fs::copy_options::recursive);
  request.model = folder / "model";
  const Path object = artifact::ProgramObject({plan::ProgramKind::kDecode, 1}, 0);
  Write(request.model / object, "not a program");
  domain::NoProgress progress;
  const Status status = Compile(LocalFileSystem(), request, folder / "out", progress).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
  EXPECT_NE(status.message().find(object.string()), std::string::npos) << status.message();
  EXPECT_FALSE(fs::exists(folder / "out"));
}

}  // namespace
}  // namespace tyllm::compile
