// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/made_model.h"
#include "worker/model/checkpoint.h"

namespace tyllm::quant {
namespace {

using ::testing::HasSubstr;
using testing::ModelDirectory;

class Converting : public ::testing::Test {
 protected:
  static ModelDirectory Amtc() {
    ModelDirectory model = ModelDirectory::Quantized(ModelDirectory::SmallQwen3Config(),
                                                     model::CheckpointFormat::kAmtc, 32);
    model.config.erase("quantization_config");
    return model;
  }

  Result<ConvertReport> Run(FileSystem& files = LocalFileSystem()) {
    domain::NoProgress progress;
    return Convert({folder_ / "amtc", folder_ / "awq", {}}, progress, files);
  }

  /// Converts and expects that it works; gives the new folder.
  Path To(const Path& source, domain::QuantizedFormat format, const std::string& name) {
    domain::NoProgress progress;
    const auto report = Convert({source, folder_ / name, {format}}, progress);
    EXPECT_TRUE(report.ok()) << report.status().ToString();
    return folder_ / name;
  }

  /// Bytes of every tensor of a model directory.
  static std::map<std::string, std::string> Tensors(const Path& directory) {
    const auto model = model::Checkpoint::Open(directory);
    EXPECT_TRUE(model.ok()) << model.status().ToString();
    std::map<std::string, std::string> tensors;
    for (const std::string& name : model->TensorNames()) {
      const auto bytes = model->Find(name)->bytes;
      tensors[name] = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    return tensors;
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(Converting, KeepsEveryByteUnderAutoAwqsNames) {
  testing::WriteModel(Amtc(), folder_ / "amtc");
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->quantized_linears, 14);
  EXPECT_EQ(report->group_size, 32);
  const auto before = Tensors(folder_ / "amtc");
  const auto after = Tensors(folder_ / "awq");
  ASSERT_EQ(after.size(), before.size());
  const std::string q = "model.layers.1.self_attn.q_proj";
  EXPECT_EQ(after.at(q + ".qweight"), before.at(q + ".quanted_layer.quanted_weight"));
  EXPECT_EQ(after.at(q + ".qzeros"), before.at(q + ".quanted_layer.zero"));
  EXPECT_EQ(after.at(q + ".scales"), before.at(q + ".quanted_layer.weight_scale"));
  EXPECT_EQ(after.at("model.norm.weight"), before.at("model.norm.weight"));
}

TEST_F(Converting, AModelWhoseOnlyWeightFileHasANumberReadsBack) {
  testing::WriteModel(Amtc(), folder_ / "amtc");
  const std::string numbered = "model-00001-of-00001.safetensors";
  std::filesystem::rename(folder_ / "amtc" / "model.safetensors", folder_ / "amtc" / numbered);
  format::Json index{{"metadata", format::Json::object()}};
  const auto file = format::SafetensorsFile::Open(folder_ / "amtc" / numbered);
  for (const auto& [name, view] : file->tensors()) {
    index["weight_map"][name] = numbered;
  }
  testing::internal::WriteText(folder_ / "amtc" / "model.safetensors.index.json",
                               format::CompactJson(index));
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(Tensors(folder_ / "awq").size(), Tensors(folder_ / "amtc").size());
}

TEST_F(Converting, RefusesAnOutputFolderInTheModelDirectory) {
  testing::WriteModel(Amtc(), folder_ / "amtc");
  domain::NoProgress progress;
  const auto report = Convert({folder_ / "amtc", folder_ / "amtc" / "awq", {}}, progress);
  EXPECT_EQ(report.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(report.status().message(), HasSubstr("lies in the model directory"));
}

TEST_F(Converting, CopiesAllOtherFilesAndSaysHowTheModelIsQuantized) {
  testing::WriteModel(Amtc(), folder_ / "amtc");
  ASSERT_TRUE(Run().ok());
  const auto files = testing::FilesOf(folder_ / "awq");
  EXPECT_EQ(files.at("extra/notes.txt"), "kept");
  EXPECT_TRUE(files.contains("tokenizer.json"));
  const auto config = format::ParseJson(files.at("config.json"), "config.json");
  EXPECT_EQ((*config)["quantization_config"]["quant_method"], "awq");
  EXPECT_EQ((*config)["quantization_config"]["group_size"], 32);
  EXPECT_TRUE((*config)["quantization_config"]["modules_to_not_convert"].is_null());
}

TEST_F(Converting, KeepsShardsAndWritesTheirIndex) {
  Amtc().WriteSharded(folder_ / "amtc", 3);
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->weight_files, 3);
  EXPECT_EQ(Tensors(folder_ / "awq").size(), Tensors(folder_ / "amtc").size());
}

// The vendor's quantizer keeps more below quanted_layer than the three tensors.
TEST_F(Converting, DropsTheQuantizersOwnTensors) {
  ModelDirectory model = Amtc();
  model.tensors["model.layers.0.mlp.up_proj.quanted_layer.weight_observer.min"] =
      testing::MadeHalves("min", {4});
  testing::WriteModel(model, folder_ / "amtc");
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->dropped_tensors, 1);
  for (const auto& [name, bytes] : Tensors(folder_ / "awq")) {
    EXPECT_EQ(name.find("quanted_layer"), std::string::npos) << name;
  }
}

TEST_F(Converting, NamesLinearsThatStayedInFloat) {
  ModelDirectory model = Amtc();
  const std::string down = "model.layers.1.mlp.down_proj";
  std::erase_if(model.tensors, [&](const auto& entry) { return entry.first.starts_with(down); });
  model.tensors[down + ".weight"] = testing::MadeHalves(down, {64, 96});
  testing::WriteModel(model, folder_ / "amtc");
  ASSERT_TRUE(Run().ok());
  const auto config = format::ReadJsonFile(folder_ / "awq" / "config.json");
  EXPECT_EQ((*config)["quantization_config"]["modules_to_not_convert"],
            format::Json::array({down}));
}

TEST_F(Converting, ThereAndBackAgainGivesEveryByteBack) {
  using domain::QuantizedFormat;
  Amtc().WriteSharded(folder_ / "amtc", 2);
  const Path awq = To(folder_ / "amtc", QuantizedFormat::kAwq, "awq");
  const Path compressed = To(awq, QuantizedFormat::kCompressedTensors, "compressed");
  const Path again = To(compressed, QuantizedFormat::kAwq, "again");
  EXPECT_EQ(Tensors(again), Tensors(awq));
  EXPECT_EQ(Tensors(To(compressed, QuantizedFormat::kAmtc, "back")), Tensors(folder_ / "amtc"));
  EXPECT_EQ(Tensors(To(again, QuantizedFormat::kCompressedTensors, "twice")), Tensors(compressed));
}

TEST_F(Converting, OfWhateverFormatGivesTheSameFiles) {
  const testing::StorageVariant variants[] = {
      {model::CheckpointFormat::kAmtc},
      {model::CheckpointFormat::kAwqGemm},
      {model::CheckpointFormat::kGptq},
      {.format = model::CheckpointFormat::kGptq, .gptq_v2 = true},
  };
  std::map<std::string, std::string> first;
  for (const testing::StorageVariant& variant : variants) {
    const std::string name(model::kCheckpointFormatNames.Name(variant.format));
    const Path source = folder_ / (name + (variant.gptq_v2 ? "2" : ""));
    ModelDirectory::Quantized(ModelDirectory::SmallQwen3Config(), variant, 32).Write(source);
    const Path made = To(source, domain::QuantizedFormat::kCompressedTensors,
                         source.filename().string() + "-made");
    auto files = testing::FilesOf(made);
    if (first.empty()) {
      first = files;
    }
    EXPECT_TRUE(files == first) << name;
  }
}

TEST_F(Converting, SymmetricLayersGetTheirZeroPoints) {
  ModelDirectory::Quantized(
      ModelDirectory::SmallQwen3Config(),
      {.format = model::CheckpointFormat::kCompressedTensors, .symmetric = true}, 32)
      .Write(folder_ / "symmetric");
  const Path awq = To(folder_ / "symmetric", domain::QuantizedFormat::kAwq, "awq");
  const auto source = model::Checkpoint::Open(folder_ / "symmetric");
  const auto made = model::Checkpoint::Open(awq);
  const std::string linear = "model.layers.0.mlp.gate_proj";
  EXPECT_EQ(*made->ReadLinear(linear), *source->ReadLinear(linear));
  EXPECT_EQ(made->ReadQuantized(linear)->zero, std::vector<std::uint8_t>(96 * 2, 8));
}

TEST_F(Converting, LeavesTheSourcesOwnConfigurationFileBehind) {
  ModelDirectory model = ModelDirectory::Quantized(ModelDirectory::SmallQwen3Config(),
                                                   model::CheckpointFormat::kGptq, 32);
  const format::Json own = model.config["quantization_config"];
  model.config.erase("quantization_config");
  testing::WriteModel(model, folder_ / "gptq");
  testing::internal::WriteText(folder_ / "gptq" / "quantize_config.json", own.dump());
  const auto files = testing::FilesOf(To(folder_ / "gptq", domain::QuantizedFormat::kAwq, "awq"));
  EXPECT_FALSE(files.contains("quantize_config.json"));
  EXPECT_TRUE(files.contains("tokenizer.json"));
}

TEST_F(Converting, RefusesAFloatModelAndWhatHasTheFormatAlready) {
  testing::WriteModel(testing::SmallModel(), folder_ / "amtc");
  const auto from_float = Run();
  ASSERT_FALSE(from_float.ok());
  EXPECT_EQ(from_float.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(from_float.status().message(), HasSubstr("floating-point"));
  std::filesystem::remove_all(folder_ / "amtc");
  ModelDirectory::Quantized(ModelDirectory::SmallQwen3Config(), model::CheckpointFormat::kAwqGemm,
                            32)
      .Write(folder_ / "amtc");
  EXPECT_THAT(Run().status().message(), HasSubstr("already is awq"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "awq"));
}

TEST_F(Converting, RefusesAFolderThatExists) {
  testing::WriteModel(Amtc(), folder_ / "amtc");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Run().status().code(), StatusCode::kAlreadyExists);
}

TEST_F(Converting, LeavesNothingBehindOnAFullDisk) {
  testing::WriteModel(Amtc(), folder_ / "amtc");
  int failures = 0;
  for (int healthy = 0;; healthy += 7) {
    testing::FaultyFileSystem files(healthy);
    const auto report = Run(files);
    if (report.ok()) {
      break;
    }
    ++failures;
    EXPECT_EQ(report.status().code(), StatusCode::kResourceExhausted) << healthy;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "awq")) << healthy;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "awq.partial")) << healthy;
  }
  EXPECT_GT(failures, 5);
}

}  // namespace
}  // namespace tyllm::quant
