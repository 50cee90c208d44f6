// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/child_process.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/model_directory.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/layout.h"
#include "worker/compile/compile.h"
#include "worker/compile/onnx/export.h"
#include "worker/onnx/model.h"

namespace tyllm::compile {
namespace {

using testing::Contents;
using tyllm::testing::TemporaryDirectory;

constexpr std::chrono::minutes kLimit{2};

/// A Python that has what the checker needs; empty: none.
std::string Python() {
  for (const char* program : {"python3", "/usr/bin/python3"}) {
    const auto outcome =
        RunCommand({{program, "-c", "import numpy, onnx.checker"}, {}, {}, {}}, kLimit);
    if (outcome.ok() && outcome->exit.ok()) {
      return program;
    }
  }
  return {};
}

/// Two decoder layers with 4-bit weights, compiled.
CompileSummary CompileSmall(const Path& folder, const domain::CompileOptions& options) {
  format::Json config = tyllm::testing::ModelDirectory::SmallQwen3Config();
  config["hidden_size"] = 128;
  config["head_dim"] = 32;
  config["intermediate_size"] = 320;
  config["vocab_size"] = 101;
  tyllm::testing::ModelDirectory::Quantized(
      config, tyllm::testing::StorageVariant{model::CheckpointFormat::kAwqGemm}, 64)
      .Write(folder / "model");
  CompileRequest request;
  request.model = folder / "model";
  request.options = options;
  request.options.max_kv = 64;
  request.cache = testing::SharedCache();
  request.allow_missing_tokenizer = true;
  domain::NoProgress progress;
  const auto summary = Compile(LocalFileSystem(), request, folder / "out", progress);
  EXPECT_TRUE(summary.ok()) << summary.status().ToString();
  return summary.ok() ? *summary : CompileSummary{};
}

class OnnxTest : public ::testing::TestWithParam<domain::CompileOptions> {};

TEST_P(OnnxTest, ExportsPassTheCheckerAndGiveTheReferencesLogits) {
  const std::string python = Python();
  if (python.empty()) {
    GTEST_SKIP() << "needs the package python3-onnx (scripts/install-deps onnx)";
  }
  const TemporaryDirectory folder;
  const CompileSummary summary = CompileSmall(folder.path(), GetParam());
  domain::NoProgress progress;
  const auto paths = ExportOnnx(LocalFileSystem(), summary.directory, folder / "graphs", progress);
  ASSERT_TRUE(paths.ok()) << paths.status().ToString();
  ASSERT_EQ(std::ssize(*paths), GetParam().dies);
  std::vector<std::string> argv = {
      python, (Path(tyllm::testing::kTestData) / "onnx" / "evaluate.py").string(),
      (summary.directory / artifact::kGoldenFile).string()};
  for (const Path& path : *paths) {
    argv.push_back(path.string());
  }
  const auto outcome = RunCommand({argv, {}, {}, {}}, kLimit);
  ASSERT_TRUE(outcome.ok() && outcome->exit.ok()) << (outcome.ok() ? outcome->output : "");
  const std::string label = "largest difference ";
  ASSERT_TRUE(outcome->output.starts_with(label)) << outcome->output;
  EXPECT_LT(std::strtod(outcome->output.c_str() + label.size(), nullptr), 1e-3);
}

domain::CompileOptions Dies(std::int64_t dies, std::int64_t reduce_group) {
  domain::CompileOptions options;
  options.dies = dies;
  options.reduce_group = reduce_group;
  return options;
}

INSTANTIATE_TEST_SUITE_P(Splits, OnnxTest, ::testing::Values(Dies(1, 0), Dies(3, 0), Dies(4, 2)));

TEST(OnnxExport, GivesTheSameBytesTwiceAndOverwritesNothing) {
  const TemporaryDirectory folder;
  const CompileSummary summary = CompileSmall(folder.path(), Dies(2, 0));
  domain::NoProgress progress;
  ASSERT_TRUE(ExportOnnx(LocalFileSystem(), summary.directory, folder / "a", progress).ok());
  ASSERT_TRUE(ExportOnnx(LocalFileSystem(), summary.directory, folder / "b", progress).ok());
  EXPECT_EQ(Contents(folder / "a"), Contents(folder / "b"));
  EXPECT_EQ(Contents(folder / "a").size(), 4U);
  const auto again = ExportOnnx(LocalFileSystem(), summary.directory, folder / "a", progress);
  EXPECT_EQ(again.status().code(), StatusCode::kAlreadyExists);
}

TEST(OnnxExport, OneThatIsRefusedOrFailsLeavesNothing) {
  const TemporaryDirectory folder;
  const CompileSummary summary = CompileSmall(folder.path(), Dies(2, 0));
  domain::NoProgress progress;
  tyllm::testing::FaultyFileSystem counting(1 << 20);
  ASSERT_TRUE(ExportOnnx(counting, summary.directory, folder / "whole", progress).ok());
  tyllm::testing::FaultyFileSystem full(counting.changes() - 2);
  EXPECT_FALSE(ExportOnnx(full, summary.directory, folder / "full", progress).ok());
  std::filesystem::create_directories(folder / "second");
  std::ofstream(folder / "second" / "llm_die1.onnx") << "mine";
  const auto refused =
      ExportOnnx(LocalFileSystem(), summary.directory, folder / "second", progress);
  EXPECT_EQ(refused.status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Contents(folder / "second").size(), 1U);
}

TEST(OnnxModel, AValueThatIsReadBeforeItIsMadeIsNamed) {
  onnx::Model model;
  model.nodes.push_back({"Add", {"a", "b"}, {"c"}, {}, {}});
  model.inputs.push_back({"a", onnx::Type::kFloat, {std::int64_t{1}}});
  EXPECT_NE(onnx::CheckOrder(model).message().find("reads b"), std::string::npos);
  model.inputs.push_back({"b", onnx::Type::kFloat, {std::int64_t{1}}});
  EXPECT_TRUE(onnx::CheckOrder(model).ok());
  model.outputs.push_back({"d", onnx::Type::kFloat, {std::int64_t{1}}});
  EXPECT_NE(onnx::CheckOrder(model).message().find("output d"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::compile
