// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/model_config.h"

#include <gtest/gtest.h>

namespace tyllm::quant {
namespace {

using model::CheckpointFormat;

TEST(QuantizedModelConfig, OfTheAwqLayoutIsWhatVllmAsksFor) {
  const format::Json source = {{"architectures", {"Qwen3ForCausalLM"}},
                               {"torch_dtype", "bfloat16"}};
  const format::Json config = QuantizedModelConfig(source, CheckpointFormat::kAwqGemm, 64, {});
  EXPECT_EQ(config["torch_dtype"], "float16");
  EXPECT_EQ(config["quantization_config"].dump(),
            R"({"quant_method":"awq","zero_point":true,"group_size":64,"bits":4,)"
            R"("version":"gemm","modules_to_not_convert":null})");
}

TEST(QuantizedModelConfig, ListsWhatStaysInFloat) {
  const format::Json config = QuantizedModelConfig(
      format::Json::object(), CheckpointFormat::kAwqGemm, 128, {"model.layers.0.mlp.down_proj"});
  EXPECT_EQ(config["quantization_config"]["modules_to_not_convert"].dump(),
            R"(["model.layers.0.mlp.down_proj"])");
}

TEST(QuantizedModelConfig, LeavesAVisualTowerAloneInBothStylesOfNames) {
  const format::Json source = {{"vision_config", {{"dtype", "bfloat16"}}},
                               {"text_config", {{"torch_dtype", "bfloat16"}}}};
  const format::Json awq = QuantizedModelConfig(source, CheckpointFormat::kAwqGemm, 128, {});
  EXPECT_EQ(awq["quantization_config"]["modules_to_not_convert"].dump(),
            R"(["visual","model.visual"])");
  EXPECT_EQ(awq["vision_config"]["dtype"], "float16");
  EXPECT_EQ(awq["text_config"]["torch_dtype"], "float16");
  const format::Json compressed =
      QuantizedModelConfig(source, CheckpointFormat::kCompressedTensors, 128, {"a.b"});
  EXPECT_EQ(compressed["quantization_config"]["ignore"].dump(),
            R"(["lm_head","a.b","re:.*visual.*"])");
}

TEST(QuantizedModelConfig, OfCompressedTensorsIsWhatLlmCompressorWrites) {
  const format::Json config = QuantizedModelConfig(
      format::Json::object(), CheckpointFormat::kCompressedTensors, 64, {})["quantization_config"];
  EXPECT_EQ(config["quant_method"], "compressed-tensors");
  EXPECT_EQ(config["format"], "pack-quantized");
  EXPECT_EQ(config["ignore"].dump(), R"(["lm_head"])");
  EXPECT_EQ(config["config_groups"]["group_0"]["targets"].dump(), R"(["Linear"])");
  const format::Json& weights = config["config_groups"]["group_0"]["weights"];
  EXPECT_EQ(weights["num_bits"], 4);
  EXPECT_EQ(weights["symmetric"], false);
  EXPECT_EQ(weights["group_size"], 64);
}

TEST(QuantizedModelConfig, OfAmtcHasNone) {
  EXPECT_FALSE(QuantizedModelConfig(format::Json::object(), CheckpointFormat::kAmtc, 128, {})
                   .contains("quantization_config"));
}

TEST(QuantizedModelConfig, KeepsTheStyleAndTheOrderOfTheSource) {
  const format::Json source = {{"b", 1}, {"dtype", "bfloat16"}, {"a", nullptr}};
  EXPECT_EQ(QuantizedModelConfig(source, CheckpointFormat::kAmtc, 128, {}).dump(),
            R"({"b":1,"dtype":"float16","a":null})");
}

TEST(QuantizedModelConfig, NamesTheVisualTowerInBothWaysThatReadersLookForIt) {
  const format::Json source = {{"text_config", {{"dtype", "bfloat16"}, {"hidden_size", 64}}},
                               {"vision_config", {{"depth", 2}}},
                               {"torch_dtype", "bfloat16"}};
  const format::Json config = QuantizedModelConfig(source, CheckpointFormat::kAwqGemm, 128,
                                                   {"model.layers.0.mlp.down_proj"});
  EXPECT_EQ(config["quantization_config"]["modules_to_not_convert"].dump(),
            R"(["visual","model.visual","model.layers.0.mlp.down_proj"])");
  EXPECT_EQ(config["text_config"].dump(), R"({"dtype":"float16","hidden_size":64})");
  EXPECT_EQ(config["torch_dtype"], "float16");
}

}  // namespace
}  // namespace tyllm::quant
