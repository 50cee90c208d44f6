// SPDX-License-Identifier: Apache-2.0

// The vendor's toolchain, as stand-ins for its Python packages show it (tests/data/tytvm).
#include <gtest/gtest.h>
#include <sched.h>

#include "common/base/child_process.h"
#include "common/domain/tools.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/artifact.h"
#include "worker/compile/vendor/compile_with_vendor.h"

namespace tyllm::compile {
namespace {

using testing::Contents;
using testing::GoldenRequest;
using tyllm::testing::TemporaryDirectory;

class Recorder final : public domain::ProgressSink {
 public:
  void Report(const domain::Progress& progress) override { records.push_back(progress); }

  std::vector<domain::Progress> records;
};

class VendorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto python = RunCommand({{"python3", "--version"}, {}, {}, {}}, std::chrono::minutes(1));
    if (!python.ok() || !python->exit.ok()) {
      GTEST_SKIP() << "needs python3";
    }
    request_ = GoldenRequest(2);
    request_.options.target = domain::CompileTarget::kTytvm;
    request_.options.lm_die_remap = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    request_.jobs = 2;
  }

  /// With one of the stand-ins as what Python finds.
  Result<CompileSummary> Compile(const std::string& stand_in) {
    const Path packages = Path(tyllm::testing::kTestData) / "tytvm" / stand_in;
    return CompileWithVendor(
        LocalFileSystem(), request_,
        {{"env", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=" + packages.string(), "python3"}},
        folder_ / "out", [this](std::string_view line) { lines_.emplace_back(line); }, progress_);
  }

  format::Json Calls() {
    const auto json = format::ReadJsonFile(folder_ / "out" / "2die" / "calls.json");
    EXPECT_TRUE(json.ok()) << json.status().ToString();
    return json.ok() ? *json : format::Json();
  }

  TemporaryDirectory folder_;
  CompileRequest request_;
  Recorder progress_;
  std::vector<std::string> lines_;
};

TEST_F(VendorTest, TheFunctionGetsTheRequestsOptions) {
  const auto summary = Compile("function");
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_FALSE(summary->verified.has_value());
  const format::Json calls = Calls();
  EXPECT_EQ(calls["function"], "build_and_compile_llm");
  EXPECT_EQ(calls["max_kv_cache_size"], 64);
  EXPECT_EQ(calls["seq_len_list"], (std::vector<int>{1, 8}));
  EXPECT_EQ(calls["dev_count"], 2);
  EXPECT_EQ(calls["embedding_as_input"], false);
  EXPECT_EQ(calls["COMPILE_THREAD"], "2");
  EXPECT_EQ(calls["modes"]["LM_die_remap"], request_.options.lm_die_remap);
  EXPECT_EQ(calls["modes"]["trace_only"], (format::Json{"edgex", true}));
}

TEST_F(VendorTest, NewerReleasesAreDrivenThroughTheirEngine) {
  request_.options.attention_dies = 1;
  request_.options.reduce_group = 1;
  const auto summary = Compile("engine");
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  const format::Json calls = Calls();
  EXPECT_EQ(calls["engine"]["tensor_parallel_size"], 2);
  EXPECT_EQ(calls["engine"]["max_model_len"], 64);
  EXPECT_EQ(calls["engine"]["dtype"], "float16");
  EXPECT_EQ(calls["modes"]["exec_mode"], "AOT");
  EXPECT_EQ(calls["modes"]["prefill_lens"], (std::vector<int>{1, 8}));
  EXPECT_EQ(calls["modes"]["attn_tp_size"], 1);
  EXPECT_EQ(calls["modes"]["attn_reduce_groups"], (std::vector<std::vector<int>>{{0}, {1}}));
}

TEST_F(VendorTest, ItsLinesProgressAndVersionArePassedOn) {
  ASSERT_TRUE(Compile("function").ok());
  EXPECT_EQ(lines_, (std::vector<std::string>{"tracing tiny-qwen3"}));
  ASSERT_FALSE(progress_.records.empty());
  EXPECT_EQ(progress_.records.back().stage, "vendor");
  EXPECT_EQ(progress_.records.back().done, progress_.records.back().total);
  const auto manifest = artifact::ReadManifest(folder_ / "out" / "2die" / "manifest.json");
  ASSERT_TRUE(manifest.ok()) << manifest.status().ToString();
  EXPECT_EQ(manifest->backend, "tytvm");
  EXPECT_EQ(manifest->toolchain.compiler, "tytvm 1.1.9");
}

TEST_F(VendorTest, FilesOfTheModelThatItDoesNotCopyAreAdded) {
  ASSERT_TRUE(Compile("function").ok());
  const auto contents = Contents(folder_ / "out" / "2die");
  EXPECT_TRUE(contents.contains("generation_config.json"));
  EXPECT_TRUE(contents.contains("config.json"));
  EXPECT_FALSE(contents.contains(".request"));
}

TEST_F(VendorTest, TheTokenizerThatWasAskedForComesAlong) {
  request_.source_tokenizer = folder_ / "tokenizer";
  std::filesystem::create_directories(request_.source_tokenizer);
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(), request_.source_tokenizer / "merges.txt", "m").ok());
  const auto summary = Compile("function");
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_EQ(Contents(folder_ / "out" / "2die")["merges.txt"], "m");
}

TEST_F(VendorTest, WhatItMadeIsNotRunOnTheSimulator) {
  ASSERT_TRUE(Compile("function").ok());
  const Status status = artifact::OpenArtifact(folder_ / "out").status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("silicon"), std::string::npos) << status.message();
}

TEST_F(VendorTest, ItIsTheVersionThatWasAskedForOrItIsMissing) {
  request_.compiler_id = "1.2.0";
  const Status other = Compile("function").status();
  EXPECT_EQ(other.code(), StatusCode::kUnavailable);
  EXPECT_NE(other.message().find("tyllm 1.2.0"), std::string::npos) << other.message();
  EXPECT_TRUE(other.facts().contains(domain::kMissingToolFact));
  request_.compiler_id = "1.1.9";
  EXPECT_TRUE(Compile("function").ok());
}

TEST_F(VendorTest, AskedForItsVersionItCompilesNothing) {
  const Path packages = Path(tyllm::testing::kTestData) / "tytvm" / "function";
  const auto run = ProbeVendor(
      LocalFileSystem(),
      {{"env", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=" + packages.string(), "python3"}},
      folder_ / "probe");
  ASSERT_TRUE(run.ok()) << run.status().ToString();
  EXPECT_EQ(run->version, "1.1.9");
  EXPECT_TRUE(ProbeVendor(LocalFileSystem(), {}, folder_ / "probe")
                  .status()
                  .facts()
                  .contains(domain::kMissingToolFact));
}

TEST_F(VendorTest, AToolchainThatIsNotInstalledIsSaidSo) {
  request_.options.max_kv = 62;
  const auto missing = Compile("nowhere");
  ASSERT_EQ(missing.status().code(), StatusCode::kUnavailable);
  EXPECT_NE(missing.status().message().find("module 'tyllm'"), std::string::npos)
      << missing.status().message();
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{}, {"/nowhere/python3"}}) {
    const auto none =
        CompileWithVendor(LocalFileSystem(), request_, {command}, folder_ / "out", {}, progress_);
    EXPECT_EQ(none.status().code(), StatusCode::kUnavailable);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out" / "2die.partial"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out" / "2die"));
}

/// Whether a process is there that could still do something.
bool Runs(const std::string& pid) {
  const Result<std::string> stat = LocalFileSystem().Read(Path("/proc") / pid / "stat");
  return stat.ok() && stat->find(") Z ") == std::string::npos;
}

TEST_F(VendorTest, WhatItLeavesRunningIsEndedAndNotWaitedFor) {
  const auto failed = CompileWithVendor(
      LocalFileSystem(), request_, {{"sh", "-c", "sleep infinity & echo $!; exit 5", "sh"}},
      folder_ / "out", [this](std::string_view line) { lines_.emplace_back(line); }, progress_);
  ASSERT_EQ(failed.status().code(), StatusCode::kInternal) << failed.status().ToString();
  EXPECT_NE(failed.status().message().find("exit code 5"), std::string::npos);
  ASSERT_EQ(lines_.size(), 1U);
  while (Runs(lines_.front())) {  // killed; it ends in a moment
    ::sched_yield();
  }
}

TEST_F(VendorTest, OneThatDoesNotEndIsEndedAtItsLimitThoughItHasClosedItsOutput) {
  const auto late = CompileWithVendor(
      LocalFileSystem(), request_,
      {{"sh", "-c", "exec sleep infinity >/dev/null 2>&1", "sh"}, std::chrono::milliseconds(200)},
      folder_ / "out", {}, progress_);
  ASSERT_EQ(late.status().code(), StatusCode::kDeadlineExceeded) << late.status().ToString();
}

TEST_F(VendorTest, EverythingThatATreeLacksIsListed) {
  const auto incomplete = Compile("broken");
  ASSERT_EQ(incomplete.status().code(), StatusCode::kDataLoss);
  for (const char* part :
       {"2 problems", "common_die1.params is missing", "seqlen_8/llm_prefill_die0.so is missing"}) {
    EXPECT_NE(incomplete.status().message().find(part), std::string::npos)
        << incomplete.status().message();
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out" / "2die"));
}

TEST_F(VendorTest, FilesOfTheModelDoNotFillTheGapsOfATree) {
  std::filesystem::copy(request_.model, folder_ / "model",
                        std::filesystem::copy_options::recursive);
  request_.model = folder_ / "model";
  const Path gap = request_.model / "batch_1" / "seqlen_8" / "llm_prefill_die0.so";
  std::filesystem::create_directories(gap.parent_path());
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), gap, "not a program").ok());
  const auto refused = Compile("broken");
  EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument) << refused.status().ToString();
  EXPECT_NE(refused.status().message().find("llm_prefill_die0.so"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out" / "2die"));
}

TEST_F(VendorTest, ItsFailureIsToldWithItsLastLine) {
  request_.options.max_kv = 63;
  const auto failed = Compile("broken");
  ASSERT_EQ(failed.status().code(), StatusCode::kInternal);
  EXPECT_NE(failed.status().message().find("DCL_ERROR_REPEAT_INITIALIZE"), std::string::npos)
      << failed.status().message();
}

}  // namespace
}  // namespace tyllm::compile
