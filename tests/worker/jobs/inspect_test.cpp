// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/inspect.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/model_directory.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/simulator/compiled_model.h"

namespace tyllm::jobs {
namespace {

const Path kDemo = Path(testing::kSourceFolder) / "examples/models/demo-qwen3-4m";

TEST(InspectTest, KnowsAModelInFloatingPoint) {
  const auto found = Inspect(kDemo);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  const auto& model = std::get<ModelInspection>(*found);
  EXPECT_EQ(model.format, model::CheckpointFormat::kFloat);
  EXPECT_EQ(model.family, "qwen3");
  EXPECT_EQ(model.parameters, 4197120);
  EXPECT_EQ(model.layers, 4);
  EXPECT_EQ(model.bits, 0);
  ASSERT_EQ(model.dtypes.size(), 1U);
  EXPECT_EQ(model.dtypes[0].dtype, "F16");
  EXPECT_EQ(model.dtypes[0].bytes, 2 * model.parameters);
  EXPECT_EQ(model.weight_files, std::vector<std::string>{"model.safetensors"});
  EXPECT_GT(model.weight_bytes, model.dtypes[0].bytes);
  EXPECT_EQ(model.other_files.size(), 5U);
}

TEST(InspectTest, TellsAQuantizedModelsLayoutAndWhatStayedInFloat) {
  using model::CheckpointFormat;
  for (const CheckpointFormat storage : {CheckpointFormat::kAmtc, CheckpointFormat::kAwqGemm}) {
    testing::TemporaryDirectory folder;
    testing::ModelDirectory::Quantized(testing::ModelDirectory::SmallQwen3Config(), storage, 32)
        .Write(folder.path());
    const auto found = Inspect(folder.path());
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    const auto& model = std::get<ModelInspection>(*found);
    EXPECT_EQ(model.format, storage);
    EXPECT_EQ(model.bits, 4);
    EXPECT_EQ(model.group_size, 32);
    EXPECT_EQ(model.quantized_linears, 14);
    EXPECT_EQ(model.float_linears, std::vector<std::string>{"lm_head"});
  }
}

TEST(InspectTest, KnowsACompiledModelAndItsParts) {
  testing::TemporaryDirectory folder;
  simulator::testing::WriteQuantizedModel(folder / "model");
  const Path directory =
      simulator::testing::Compile(folder / "model", folder / "out", simulator::testing::Options(2));
  for (const Path& named : {directory, directory.parent_path()}) {
    const auto found = Inspect(named);
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    const auto& compiled = std::get<ArtifactInspection>(*found);
    EXPECT_EQ(compiled.directory, directory.string());
    EXPECT_EQ(compiled.backend, "sim");
    EXPECT_EQ(compiled.dies, 2);
    EXPECT_EQ(compiled.seq_lens, (std::vector<std::int64_t>{1, 8, 16}));
    EXPECT_EQ(compiled.max_kv, 64);
    EXPECT_EQ(compiled.group_size, 64);
    EXPECT_EQ(compiled.programs.size(), 5U);
    EXPECT_EQ(compiled.die_list.size(), 2U);
    const auto programs = std::find_if(compiled.files.begin(), compiled.files.end(),
                                       [](const FileShare& f) { return f.kind == "programs"; });
    ASSERT_NE(programs, compiled.files.end());
    EXPECT_EQ(programs->files, 10);
  }
}

TEST(InspectTest, NamesAFileOfACompiledModelThatIsCutShort) {
  testing::TemporaryDirectory folder;
  simulator::testing::WriteQuantizedModel(folder / "model");
  const Path directory =
      simulator::testing::Compile(folder / "model", folder / "out", simulator::testing::Options(1));
  std::filesystem::resize_file(directory / "batch_1/common_die0.params", 100);
  const auto found = Inspect(directory);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), StatusCode::kDataLoss);
  EXPECT_NE(found.status().message().find("common_die0.params has 100 bytes"), std::string::npos);
}

TEST(InspectTest, SaysWhatItLookedFor) {
  testing::TemporaryDirectory folder;
  const auto found = Inspect(folder.path());
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), StatusCode::kNotFound);
  EXPECT_NE(found.status().message().find("config.json"), std::string::npos);
  EXPECT_NE(found.status().message().find("manifest.json"), std::string::npos);
}

TEST(InspectTest, NamesWhatIsNoFolder) {
  EXPECT_EQ(Inspect("/nonexistent").status().message(), "/nonexistent does not exist");
  const auto file = Inspect(kDemo / "config.json");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), StatusCode::kNotFound);
  EXPECT_NE(file.status().message().find("is a file, expected a folder"), std::string::npos);
}

TEST(InspectTest, ReportsADamagedManifest) {
  testing::TemporaryDirectory folder;
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "manifest.json", "{}").ok());
  const auto found = Inspect(folder.path());
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.status().message().find("manifest.json"), std::string::npos);
}

TEST(InspectTest, ReportsAModelOfAnUnknownArchitecture) {
  testing::TemporaryDirectory folder;
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "config.json",
                                  R"({"architectures": ["BertModel"]})")
                  .ok());
  const auto found = Inspect(folder.path());
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.status().message().find("BertModel"), std::string::npos)
      << found.status().message();
}

}  // namespace
}  // namespace tyllm::jobs
