// SPDX-License-Identifier: Apache-2.0

// Programs for 64-bit ARM, compiled here and run under qemu.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "common/base/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/artifact.h"
#include "worker/artifact/layout.h"
#include "worker/artifact/params.h"
#include "worker/compile/compile.h"
#include "worker/simulator/golden.h"
#include "worker/simulator/loaded_artifact.h"
#include "worker/simulator/verify.h"

namespace tyllm::compile {
namespace {

using testing::Contents;
using testing::GoldenRequest;
using tyllm::testing::TemporaryDirectory;

constexpr const char* kCompiler = "aarch64-linux-gnu-g++";
constexpr const char* kQemu = "qemu-aarch64";
constexpr std::chrono::minutes kLimit{2};

bool Works(const std::string& program) {
  const auto outcome = RunCommand({{program, "--version"}, {}, {}, {}}, kLimit);
  return outcome.ok() && outcome->exit.ok();
}

/// Runs a command and expects that it succeeds.
std::string Execute(std::vector<std::string> argv) {
  const auto outcome = RunCommand({std::move(argv), {}, {}, {}}, kLimit);
  EXPECT_TRUE(outcome.ok()) << outcome.status().ToString();
  EXPECT_TRUE(outcome.ok() && outcome->exit.ok()) << (outcome.ok() ? outcome->output : "");
  return outcome.ok() ? outcome->output : "";
}

class CrossTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Works(kCompiler) || !Works(kQemu)) {
      GTEST_SKIP() << "needs the packages g++-aarch64-linux-gnu and qemu-user "
                      "(scripts/install-deps cross)";
    }
    request_ = GoldenRequest(1);
    request_.options.target_cpu = "armv8-a";
  }

  CompileSummary CompileInto(const Path& out) const {
    domain::NoProgress progress;
    const auto summary = Compile(LocalFileSystem(), request_, out, progress);
    EXPECT_TRUE(summary.ok()) << summary.status().ToString();
    return summary.ok() ? *summary : CompileSummary{};
  }

  /// Logits of `tokens` from the 8-bucket decode program under qemu.
  std::vector<float> RunUnderQemu(const Path& root, const std::vector<std::int32_t>& tokens) {
    const Path source(tyllm::testing::kSourceFolder);
    Execute({kCompiler, "-std=c++20", "-O1", "-I" + source.string(), "-o",
             (folder_ / "run_program").string(),
             (source / "tests/worker/compile/objects/run_program.cpp").string(), "-ldl"});
    const auto bindings = artifact::ParamsFile::Open(root / artifact::BindingParams(0, 8));
    EXPECT_TRUE(bindings.ok());
    const std::span<const std::byte> table = bindings->Find("bindings")->bytes;
    EXPECT_TRUE(WriteFileAtomically(
                    LocalFileSystem(), folder_ / "bindings",
                    std::string_view(reinterpret_cast<const char*>(table.data()), table.size()))
                    .ok());
    std::vector<std::string> argv = {
        kQemu,
        "-L",
        "/usr/aarch64-linux-gnu",
        (folder_ / "run_program").string(),
        (root / artifact::ProgramObject({plan::ProgramKind::kDecode, 8}, 0)).string(),
        (root / artifact::CommonParams(0)).string(),
        (root / artifact::ConstantParams(0, 8)).string(),
        (folder_ / "bindings").string(),
        (folder_ / "logits").string()};
    for (const std::int32_t token : tokens) {
      argv.push_back(std::to_string(token));
    }
    EXPECT_EQ(Execute(argv), "armv8-a\n");
    const Result<std::string> bytes = LocalFileSystem().Read(folder_ / "logits");
    EXPECT_TRUE(bytes.ok());
    std::vector<float> logits(bytes->size() / sizeof(float));
    std::memcpy(logits.data(), bytes->data(), logits.size() * sizeof(float));
    return logits;
  }

  TemporaryDirectory folder_;
  CompileRequest request_;
};

TEST_F(CrossTest, ProgramsForArmGiveTheReferencesLogits) {
  const CompileSummary summary = CompileInto(folder_ / "out");
  ASSERT_TRUE(summary.verified.has_value());
  EXPECT_EQ(summary.verified->engine, "interpreter");  // this machine cannot run them
  const auto opened = artifact::OpenArtifact(summary.directory);
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  EXPECT_EQ(opened->manifest.toolchain.target_cpu, "armv8-a");
  const auto golden =
      simulator::ReadGolden(summary.directory / artifact::kGoldenFile, opened->shape.vocabulary);
  ASSERT_TRUE(golden.ok()) << golden.status().ToString();
  ASSERT_EQ(golden->rows, std::ssize(golden->tokens));
  const std::vector<std::int32_t> tokens(golden->tokens.begin(), golden->tokens.begin() + 8);
  const std::vector<float> logits = RunUnderQemu(summary.directory, tokens);
  ASSERT_EQ(std::ssize(logits), 8 * golden->vocabulary);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    ASSERT_NEAR(logits[i], golden->logits[i], 2e-2) << "logit " << i;
  }
}

TEST_F(CrossTest, AtHomeAllFilesAreCheckedAndTheSchedulesInterpreted) {
  const CompileSummary summary = CompileInto(folder_ / "out");
  domain::NoProgress progress;
  simulator::VerifyRequest request;
  request.directory = summary.directory;
  const auto report = simulator::Verify(request, progress);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->engine, "interpreter");
  EXPECT_GT(report->rows, 0);
  const Status load = simulator::LoadedArtifact::Load(summary.directory).status();
  EXPECT_NE(load.message().find("built for the CPU 'armv8-a'"), std::string::npos)
      << load.message();
  const Path object =
      summary.directory / artifact::ProgramObject({plan::ProgramKind::kDecode, 8}, 0);
  std::string bytes = *LocalFileSystem().Read(object);
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), object, bytes).ok());
  const Status damaged = simulator::Verify(request, progress).status();
  EXPECT_EQ(damaged.code(), StatusCode::kDataLoss) << damaged.ToString();
  EXPECT_NE(damaged.message().find(object.filename().string()), std::string::npos);
}

TEST_F(CrossTest, DiesPutTogetherAtHomeAreProvenByTheInterpreterToo) {
  const CompileSummary whole = CompileInto(folder_ / "whole");
  domain::NoProgress progress;
  ASSERT_TRUE(CompileDies(LocalFileSystem(), request_, {0}, folder_ / "part", progress).ok());
  const auto joined =
      Assemble(LocalFileSystem(), request_, {folder_ / "part"}, folder_ / "joined", progress);
  ASSERT_TRUE(joined.ok()) << joined.status().ToString();
  EXPECT_EQ(Contents(folder_ / "joined"), Contents(folder_ / "whole"));
}

TEST_F(CrossTest, TwoBuildsForArmHaveTheSameBytes) {
  CompileInto(folder_ / "a");
  request_.cache.clear();
  CompileInto(folder_ / "other" / "b");
  EXPECT_EQ(Contents(folder_ / "a"), Contents(folder_ / "other" / "b"));
}

}  // namespace
}  // namespace tyllm::compile
