// SPDX-License-Identifier: Apache-2.0
#include "worker/model/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/model_directory.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::model {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ModelDirectory;

constexpr const char* kQProj = "model.layers.1.self_attn.q_proj";

class CheckpointTest : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  ModelDirectory model_ = ModelDirectory::Float(ModelDirectory::SmallQwen3Config());

  Result<Checkpoint> Open() const { return Checkpoint::Open(folder_.path()); }

  /// Writes the model, opens it, and expects an error with all these parts in its message.
  template <typename... Parts>
  void ExpectRefused(Parts... parts) {
    model_.Write(folder_.path());
    ExpectOpenRefused(parts...);
  }

  template <typename... Parts>
  void ExpectOpenRefused(Parts... parts) {
    const auto checkpoint = Open();
    ASSERT_FALSE(checkpoint.ok());
    EXPECT_THAT(checkpoint.status().message(), AllOf(HasSubstr(std::string(parts))...));
  }

  void MakeQuantized(CheckpointFormat storage, std::int64_t group = 32) {
    model_ = ModelDirectory::Quantized(ModelDirectory::SmallQwen3Config(), storage, group);
  }

  void Touch(const Path& name, const std::string& text = "x") {
    const Path path = folder_ / name;
    ASSERT_TRUE(LocalFileSystem().CreateDirectories(path.parent_path()).ok());
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, text).ok());
  }
};

TEST_F(CheckpointTest, ShardsAreOneSetOfTensors) {
  model_.WriteSharded(folder_.path(), 3);
  const auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_EQ(checkpoint->TensorNames().size(), model_.tensors.size());
  for (const auto& [name, tensor] : model_.tensors) {
    const auto view = checkpoint->Find(name);
    ASSERT_TRUE(view.ok()) << name;
    EXPECT_EQ(std::vector(view->bytes.begin(), view->bytes.end()), tensor.bytes) << name;
  }
}

TEST_F(CheckpointTest, ATiedHeadIsTheEmbeddingTableWhetherItIsStoredOrNot) {
  for (const bool stored : {true, false}) {
    model_.config["tie_word_embeddings"] = true;
    if (!stored) {
      model_.tensors.erase("lm_head.weight");
    }
    model_.Write(folder_.path());
    const auto checkpoint = Open();
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
    EXPECT_EQ(*checkpoint->ReadLinear("lm_head"),
              *checkpoint->ReadFloats("model.embed_tokens.weight"));
    EXPECT_FALSE(checkpoint->IsQuantized("lm_head"));
    EXPECT_TRUE(checkpoint->unused_tensors().empty());
  }
}

TEST_F(CheckpointTest, QuantizedLayersReadTheSameFromBothStorages) {
  const QuantizedMatrix expected = testing::MadeQuantized(kQProj, 64, 64, 32);
  for (const CheckpointFormat storage : {CheckpointFormat::kAmtc, CheckpointFormat::kAwqGemm}) {
    MakeQuantized(storage);
    model_.Write(folder_.path());
    const auto checkpoint = Open();
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
    EXPECT_EQ(checkpoint->format(), storage);
    EXPECT_EQ(checkpoint->group_size(), 32);
    EXPECT_TRUE(checkpoint->IsQuantized(kQProj));
    EXPECT_FALSE(checkpoint->IsQuantized("lm_head"));
    const auto matrix = checkpoint->ReadQuantized(kQProj);
    ASSERT_TRUE(matrix.ok()) << matrix.status().ToString();
    EXPECT_EQ(matrix->q, expected.q);
    EXPECT_EQ(matrix->zero, expected.zero);
    EXPECT_EQ(matrix->scale, expected.scale);
    EXPECT_EQ(*checkpoint->ReadLinear(kQProj), expected.Dequantize());
    EXPECT_TRUE(checkpoint->unused_tensors().empty());
  }
}

TEST_F(CheckpointTest, ALayerKeptInFloatIsToldByItsTensors) {
  MakeQuantized(CheckpointFormat::kAwqGemm);
  for (const char* const key : {".qweight", ".qzeros", ".scales"}) {
    model_.tensors.erase(kQProj + std::string(key));
  }
  const std::string name = kQProj + std::string(".weight");
  model_.tensors[name] = testing::MadeHalves(name, {64, 64});
  model_.Write(folder_.path());
  const auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_FALSE(checkpoint->IsQuantized(kQProj));
  EXPECT_EQ(*checkpoint->ReadLinear(kQProj), *checkpoint->ReadFloats(name));
  EXPECT_THAT(checkpoint->ReadQuantized(kQProj).status().message(), HasSubstr("not quantized"));
}

TEST_F(CheckpointTest, GroupSizeComesFromTheTensorsWhereTheConfigurationSaysNothing) {
  MakeQuantized(CheckpointFormat::kAwqGemm, 16);
  model_.config.erase("quantization_config");
  model_.Write(folder_.path());
  const auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_EQ(checkpoint->group_size(), 16);
}

TEST_F(CheckpointTest, AZeroBiasIsUnusedAndAnyOtherIsRefused) {
  MakeQuantized(CheckpointFormat::kAmtc);
  const std::string name = kQProj + std::string(".quanted_layer.bias");
  model_.tensors[name] = {format::DType::kF16, {64}, std::vector<std::byte>(128)};
  model_.Write(folder_.path());
  const auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_THAT(checkpoint->unused_tensors(), ElementsAre(name));
  EXPECT_TRUE(checkpoint->Has(kQProj + std::string(".bias")));
  model_.tensors[name].bytes[5] = std::byte{60};
  ExpectRefused("model.safetensors", name, "not zero");
}

TEST_F(CheckpointTest, TensorsThatNothingUsesAreListed) {
  model_.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] =
      testing::MadeHalves("inv_freq", {8});
  model_.Write(folder_.path());
  EXPECT_THAT(Open()->unused_tensors(),
              ElementsAre("model.layers.0.self_attn.rotary_emb.inv_freq"));
}

TEST_F(CheckpointTest, PassengersAreAllFilesWithoutWeights) {
  model_.WriteSharded(folder_.path(), 2);
  for (const char* const name :
       {"tokenizer.json", "vocab.json", "chat_template.jinja", "LICENSE", "assets/logo.png",
        "pytorch_model.bin", "model.gguf", ".gitattributes", ".cache/state.json", "awq/config.json",
        "awq/tokenizer.json", "onnx/model.onnx"}) {
    Touch(name);
  }
  std::filesystem::create_symlink(folder_ / "vocab.json", folder_ / "linked.json");
  const auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_THAT(checkpoint->PassengerFiles(),
              ElementsAre("LICENSE", "assets/logo.png", "chat_template.jinja", "config.json",
                          "linked.json", "tokenizer.json", "vocab.json"));
}

TEST_F(CheckpointTest, ForgettingPagesLosesNoData) {
  model_.Write(folder_.path());
  const auto checkpoint = Open();
  const std::vector<float> before = *checkpoint->ReadLinear(kQProj);
  checkpoint->Forget("model.layers.1");
  checkpoint->Forget("");
  EXPECT_EQ(*checkpoint->ReadLinear(kQProj), before);
}

/// Resident pages of mapped files, in KiB.
std::int64_t ResidentFileKib() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("RssFile:")) {
      return std::stoll(line.substr(8));
    }
  }
  return -1;
}

TEST_F(CheckpointTest, ForgettingGivesMemoryBack) {
  model_.config["vocab_size"] = 1 << 17;
  model_.tensors["model.embed_tokens.weight"] = {
      format::DType::kF16, {1 << 17, 64}, std::vector<std::byte>(1 << 24)};
  model_.tensors["lm_head.weight"] = model_.tensors["model.embed_tokens.weight"];
  model_.Write(folder_.path());
  const auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  const std::int64_t before = ResidentFileKib();
  ASSERT_TRUE(checkpoint->ReadFloats("model.embed_tokens.weight").ok());
  EXPECT_GT(ResidentFileKib(), before + 12 * 1024);
  checkpoint->Forget("model.embed_tokens");
  EXPECT_LT(ResidentFileKib(), before + 4 * 1024);
}

TEST_F(CheckpointTest, NamesThatAreNotThereAreErrors) {
  model_.Write(folder_.path());
  const auto checkpoint = Open();
  EXPECT_EQ(checkpoint->Find("nothing").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(checkpoint->ReadFloats("nothing").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(checkpoint->ReadLinear("model.norm").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(checkpoint->ReadQuantized("nothing").status().code(), StatusCode::kNotFound);
}

// What can be wrong with a directory.

TEST_F(CheckpointTest, AFolderThatIsNotThereIsNamed) {
  const auto checkpoint = Checkpoint::Open(folder_ / "nothing");
  EXPECT_EQ(checkpoint.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(checkpoint.status().message(), HasSubstr((folder_ / "nothing").string()));
}

TEST_F(CheckpointTest, MissingOrBrokenConfigIsNamed) {
  model_.Write(folder_.path());
  Touch("config.json", "{ not json");
  ExpectOpenRefused("config.json", "not valid JSON");
  std::filesystem::remove(folder_ / "config.json");
  ExpectOpenRefused("config.json", "missing");
}

TEST_F(CheckpointTest, MissingWeightsAreNamed) {
  Touch("config.json", format::PrettyJson(model_.config));
  ExpectOpenRefused("no weights", "model.safetensors.index.json");
}

TEST_F(CheckpointTest, AMissingShardIsNamed) {
  model_.WriteSharded(folder_.path(), 3);
  std::filesystem::remove(folder_ / "model-00002-of-00003.safetensors");
  ExpectOpenRefused("model-00002-of-00003.safetensors is missing", "index.json");
}

TEST_F(CheckpointTest, ATruncatedShardIsNamed) {
  model_.WriteSharded(folder_.path(), 2);
  const Path shard = folder_ / "model-00002-of-00002.safetensors";
  std::filesystem::resize_file(shard, std::filesystem::file_size(shard) - 1);
  ExpectOpenRefused(shard.string(), "truncated");
}

TEST_F(CheckpointTest, ATensorThatItsShardLacksIsNamed) {
  model_.WriteSharded(folder_.path(), 2);
  format::Json index = *format::ReadJsonFile(folder_ / "model.safetensors.index.json");
  index["weight_map"]["model.extra"] = "model-00001-of-00002.safetensors";
  Touch("model.safetensors.index.json", format::PrettyJson(index));
  ExpectOpenRefused("model-00001-of-00002.safetensors", "has no tensor 'model.extra'");
}

TEST_F(CheckpointTest, AnIndexCannotLeaveItsFolder) {
  Touch("config.json", format::PrettyJson(model_.config));
  for (const char* const name : {"../x.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..",
                                 "", ".safetensors", "model.bin", "a\\b.safetensors"}) {
    const format::Json index{{"weight_map", {{"model.norm.weight", name}}}};
    Touch("model.safetensors.index.json", format::PrettyJson(index));
    ExpectOpenRefused("weight_map['model.norm.weight'] is not the name");
  }
}

TEST_F(CheckpointTest, AnIndexThatIsNoneIsRefused) {
  Touch("config.json", format::PrettyJson(model_.config));
  for (const char* const text : {"", "[]", "null", "{}", R"({"weight_map": []})",
                                 R"({"weight_map": {}})", R"({"weight_map": {"a": 1}})"}) {
    Touch("model.safetensors.index.json", text);
    ExpectOpenRefused("model.safetensors.index.json");
  }
}

TEST_F(CheckpointTest, AMissingTensorIsNamedWithItsShape) {
  model_.tensors.erase("model.layers.1.input_layernorm.weight");
  ExpectRefused("has no tensor 'model.layers.1.input_layernorm.weight'", "[64]");
}

TEST_F(CheckpointTest, AMissingLinearIsNamedWithItsShape) {
  model_.tensors.erase("model.layers.0.mlp.up_proj.weight");
  ExpectRefused("has no tensor 'model.layers.0.mlp.up_proj.weight'", "[96, 64]");
}

TEST_F(CheckpointTest, AMissingHeadIsNamed) {
  model_.tensors.erase("lm_head.weight");
  ExpectRefused("'lm_head.weight'", "[40, 64]");
}

TEST_F(CheckpointTest, AWrongShapeIsNamedWithBothShapes) {
  model_.tensors["model.layers.0.mlp.up_proj.weight"] = testing::MadeHalves("x", {64, 96});
  ExpectRefused("model.safetensors: tensor 'model.layers.0.mlp.up_proj.weight' is F16 [64, 96]",
                "expected F16, BF16 or F32 [96, 64]");
}

TEST_F(CheckpointTest, ANormOfIntegersIsRefused) {
  model_.tensors["model.norm.weight"].dtype = format::DType::kI16;
  ExpectRefused("'model.norm.weight' is I16 [64]", "expected F16, BF16 or F32 [64]");
}

TEST_F(CheckpointTest, ALinearStoredTwiceIsRefused) {
  MakeQuantized(CheckpointFormat::kAwqGemm);
  const std::string name = kQProj + std::string(".weight");
  model_.tensors[name] = testing::MadeHalves(name, {64, 64});
  ExpectRefused(name, ".qweight", "stored in one way");
}

TEST_F(CheckpointTest, TwoStoragesInOneModelAreRefused) {
  MakeQuantized(CheckpointFormat::kAwqGemm);
  const ModelDirectory amtc =
      ModelDirectory::Quantized(ModelDirectory::SmallQwen3Config(), CheckpointFormat::kAmtc, 32);
  for (const char* const key : {".qweight", ".qzeros", ".scales"}) {
    model_.tensors.erase(kQProj + std::string(key));
  }
  for (const auto& [name, tensor] : amtc.tensors) {
    if (name.starts_with(kQProj)) {
      model_.tensors[name] = tensor;
    }
  }
  ExpectRefused("both as", kQProj);
}

TEST_F(CheckpointTest, QuantizedTensorsThatDoNotFitAreNamed) {
  for (const char* const key : {".qweight", ".qzeros", ".scales"}) {
    MakeQuantized(CheckpointFormat::kAwqGemm);
    const std::string name = kQProj + std::string(key);
    model_.tensors[name] = testing::MadeHalves(name, {3, 5});
    ExpectRefused("model.safetensors: tensor '" + name + "' is F16 [3, 5]", "expected");
    model_.tensors.erase(name);
    // Without its weight a layer is not there at all, in whichever form.
    ExpectRefused("has no tensor '" + std::string(kQProj));
  }
}

TEST_F(CheckpointTest, AGroupSizeThatTheTensorsContradictIsRefused) {
  MakeQuantized(CheckpointFormat::kAwqGemm, 32);
  model_.config["quantization_config"]["group_size"] = 16;
  ExpectRefused("qzeros' is I32 [2, 8]", "expected I32 [4, 8]");
}

TEST_F(CheckpointTest, QuantizationThatIsNotAwqGemmIsRefused) {
  const std::pair<const char*, format::Json> bad[] = {
      {"quant_method", "hqq"}, {"bits", 8},           {"zero_point", false}, {"version", "gemv"},
      {"group_size", -1},      {"group_size", "128"}, {"quant_method", 3},
  };
  for (const auto& [key, value] : bad) {
    MakeQuantized(CheckpointFormat::kAwqGemm);
    model_.config["quantization_config"][key] = value;
    ExpectRefused("config.json.quantization_config." + std::string(key));
  }
}

TEST_F(CheckpointTest, AmtcNeedsNothingOfTheQuantizationConfig) {
  for (const format::Json& config :
       {format::Json(), format::Json{{"quant_method", "amtc"}}, format::Json::object()}) {
    MakeQuantized(CheckpointFormat::kAmtc);
    model_.config["quantization_config"] = config;
    model_.Write(folder_.path());
    const auto checkpoint = Open();
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
    EXPECT_EQ(checkpoint->group_size(), 32);
  }
}

TEST_F(CheckpointTest, AQuantizationConfigWithoutQuantizedTensorsIsRefused) {
  model_.config["quantization_config"] = {{"quant_method", "awq"}};
  ExpectRefused("config.json", "awq, but no linear layer is quantized");
}

}  // namespace
}  // namespace tyllm::model
