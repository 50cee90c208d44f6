// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "worker/model/families.h"
#include "worker/model/tensor_inventory.h"

// What every family promises, and what config.json may do to it.
namespace tyllm::model {
namespace {

using ::testing::HasSubstr;

format::Json ConfigOf(const Family& family) {
  return format::Json{{"architectures", {family.architecture}},
                      {"hidden_size", 64},
                      {"num_hidden_layers", 3},
                      {"num_attention_heads", 4},
                      {"num_key_value_heads", 2},
                      {"head_dim", 16},
                      {"intermediate_size", 96},
                      {"vocab_size", 40},
                      {"max_position_embeddings", 128},
                      {"rms_norm_eps", 1e-5},
                      {"rope_theta", 500000.0},
                      {"hidden_act", "silu"},
                      {"tie_word_embeddings", false}};
}

class FamilyContract : public ::testing::TestWithParam<const Family*> {
 protected:
  format::Json config_ = ConfigOf(*GetParam());

  Status Error() const {
    const auto shape = ParseShape(config_, "config.json");
    return shape.ok() ? OkStatus() : shape.status();
  }

  void ExpectRefused(std::string_view key, const format::Json& value) {
    const format::Json good = config_;
    config_[std::string(key)] = value;
    EXPECT_THAT(Error().message(), HasSubstr("config.json." + std::string(key))) << value;
    config_ = good;
  }
};

INSTANTIATE_TEST_SUITE_P(All, FamilyContract, ::testing::ValuesIn(kFamilies), [](const auto& test) {
  std::string name(test.param->name);
  std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
  return name;
});

TEST_P(FamilyContract, ReadsItsShapeFromTheHubsKeys) {
  const auto shape = ParseShape(config_, "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_EQ(shape->family, GetParam()->name);
  EXPECT_EQ(shape->architecture, GetParam()->architecture);
  EXPECT_EQ(shape->layers, 3);
  EXPECT_EQ(shape->width, 64);
  EXPECT_EQ(shape->q_columns(), 64);
  EXPECT_EQ(shape->kv_columns(), 32);
  EXPECT_EQ(shape->queries_per_kv(), 2);
  EXPECT_EQ(shape->intermediate, 96);
  EXPECT_EQ(shape->vocabulary, 40);
  EXPECT_EQ(shape->max_positions, 128);
  EXPECT_FLOAT_EQ(shape->norm_epsilon, 1e-5F);
  EXPECT_EQ(shape->rope_theta, 500000.0);
  EXPECT_FALSE(shape->tied_head);
}

TEST_P(FamilyContract, ReadsRopeAsTransformers5WritesIt) {
  config_.erase("rope_theta");
  config_["rope_parameters"] = {{"rope_theta", 1e6}, {"rope_type", "default"}};
  const auto shape = ParseShape(config_, "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_EQ(shape->rope_theta, 1e6);
}

TEST_P(FamilyContract, ParametersAreTheSumOfTheNeededTensors) {
  for (const bool tied : {false, true}) {
    config_["tie_word_embeddings"] = tied;
    const auto shape = ParseShape(config_, "config.json");
    std::int64_t sum = 0;
    for (const NeededTensor& needed : NeededTensors(*shape)) {
      std::int64_t product = 1;
      for (const std::int64_t dimension : needed.shape) {
        product *= dimension;
      }
      sum += product;
    }
    EXPECT_EQ(shape->parameters(), sum);
  }
}

TEST_P(FamilyContract, NeededTensorsHaveDifferentNames) {
  const auto shape = ParseShape(config_, "config.json");
  std::set<std::string> names;
  for (const NeededTensor& needed : NeededTensors(*shape)) {
    EXPECT_TRUE(names.insert(needed.name).second) << needed.name;
  }
}

TEST_P(FamilyContract, EachNumberMustBePositiveAndOfSaneSize) {
  for (const char* const key :
       {"hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "head_dim", "intermediate_size", "vocab_size", "max_position_embeddings"}) {
    for (const format::Json& value : {format::Json(0), format::Json(-4), format::Json(1LL << 40),
                                      format::Json("64"), format::Json(2.5), format::Json({1})}) {
      ExpectRefused(key, value);
    }
  }
}

TEST_P(FamilyContract, ARequiredKeyThatIsMissingIsNamed) {
  for (const char* const key : {"hidden_size", "num_hidden_layers", "num_attention_heads",
                                "intermediate_size", "vocab_size", "max_position_embeddings"}) {
    const format::Json good = config_;
    config_.erase(key);
    EXPECT_THAT(Error().message(), HasSubstr("has no key '" + std::string(key) + "'"));
    config_ = good;
  }
  config_.erase("rope_theta");
  EXPECT_THAT(Error().message(), HasSubstr("rope_theta"));
}

TEST_P(FamilyContract, WhatItCannotComputeIsRefused) {
  ExpectRefused("head_dim", 15);
  ExpectRefused("num_attention_heads", 5);
  ExpectRefused("hidden_act", "gelu");
  ExpectRefused("layer_types", {"full_attention", "linear_attention", "full_attention"});
  ExpectRefused("layer_types", {"full_attention"});
  ExpectRefused("rope_scaling", {{"type", "yarn"}, {"factor", 4.0}});
  ExpectRefused("rope_parameters", {{"rope_theta", 1e6}, {"rope_type", "longrope"}});
  ExpectRefused("rope_parameters", {{"rope_theta", 1e6}, {"partial_rotary_factor", 0.5}});
  ExpectRefused("rope_scaling", {{"type", "mrope"}, {"mrope_section", {4, 4, 4}}});
  ExpectRefused("rope_scaling", {{"type", "mrope"}, {"mrope_section", {4, 4}}});
  ExpectRefused("partial_rotary_factor", 0.25);
  ExpectRefused("rope_theta", -1.0);
  ExpectRefused("rms_norm_eps", 0.0);
  ExpectRefused("mlp_bias", true);
}

TEST_P(FamilyContract, RopeIsScaledAsLlama3AsksInBothForms) {
  const format::Json scaling{{"factor", 8.0},
                             {"low_freq_factor", 1.0},
                             {"high_freq_factor", 4.0},
                             {"original_max_position_embeddings", 64},
                             {"rope_type", "llama3"}};
  const Llama3Scaling expected{8.0, 1.0, 4.0, 64};
  config_["rope_scaling"] = scaling;
  EXPECT_EQ(ParseShape(config_, "config.json")->rope_scaling, expected);
  config_.erase("rope_scaling");
  config_["rope_parameters"] = scaling;
  EXPECT_EQ(ParseShape(config_, "config.json")->rope_scaling, expected);
}

TEST_P(FamilyContract, BothFormsOfRopeMustSayTheSame) {
  const format::Json scaling{{"factor", 8.0},
                             {"low_freq_factor", 1.0},
                             {"high_freq_factor", 4.0},
                             {"original_max_position_embeddings", 64},
                             {"type", "llama3"}};
  config_["rope_scaling"] = scaling;
  config_["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 500000.0}};
  EXPECT_THAT(Error().message(), HasSubstr("config.json.rope_scaling and"));
  config_["rope_parameters"] = scaling;
  config_["rope_parameters"]["rope_theta"] = 1e6;
  EXPECT_THAT(Error().message(), HasSubstr("config.json.rope_parameters say different"));
  config_["rope_parameters"]["rope_theta"] = config_["rope_theta"];
  EXPECT_TRUE(ParseShape(config_, "config.json").ok());
  config_["rope_scaling"] = format::Json::object();  // says nothing
  config_["rope_parameters"]["rope_theta"] = 1e6;
  EXPECT_EQ(ParseShape(config_, "config.json")->rope_theta, 1e6);
  config_.erase("rope_parameters");
  config_["rope_scaling"] = scaling;
  config_["rope_scaling"]["rope_theta"] = 2e6;
  EXPECT_EQ(ParseShape(config_, "config.json")->rope_theta, 2e6);
  config_.erase("rope_theta");
  EXPECT_EQ(ParseShape(config_, "config.json")->rope_theta, 2e6);
}

TEST_P(FamilyContract, AKeyOfTheScalingThatIsMissingOrWrongIsNamed) {
  const format::Json good{{"factor", 8.0},
                          {"low_freq_factor", 1.0},
                          {"high_freq_factor", 4.0},
                          {"original_max_position_embeddings", 64},
                          {"type", "llama3"}};
  for (const auto& [key, value] : good.items()) {
    if (key == "type") {
      continue;
    }
    for (const format::Json& wrong : {format::Json(), format::Json(0), format::Json(-3)}) {
      config_["rope_scaling"] = good;
      config_["rope_scaling"][key] = wrong;
      EXPECT_THAT(Error().message(), HasSubstr("config.json.rope_scaling")) << key << wrong;
      EXPECT_THAT(Error().message(), HasSubstr(key)) << wrong;
    }
  }
  config_["rope_scaling"] = good;
  config_["rope_scaling"]["high_freq_factor"] = 1.0;
  EXPECT_THAT(Error().message(), HasSubstr("more than low_freq_factor"));
}

TEST_P(FamilyContract, ASlidingWindowLimitsThePositionsToWhatItSees) {
  config_["use_sliding_window"] = true;
  config_["sliding_window"] = 32;
  config_["max_window_layers"] = 2;
  auto shape = ParseShape(config_, "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_EQ(shape->sliding_window, 32);
  EXPECT_EQ(shape->max_positions, 32);
  config_["sliding_window"] = 4096;
  EXPECT_EQ(ParseShape(config_, "config.json")->max_positions, 128);
  // Mistral has its window whatever these say.
  const bool always = GetParam()->architecture == "MistralForCausalLM";
  config_["max_window_layers"] = 3;  // no layer is left
  EXPECT_EQ(ParseShape(config_, "config.json")->sliding_window, always ? 4096 : 0);
  config_["layer_types"] = {"full_attention", "full_attention", "full_attention"};
  EXPECT_EQ(ParseShape(config_, "config.json")->sliding_window, always ? 4096 : 0);
  config_["layer_types"] = {"full_attention", "sliding_attention", "full_attention"};
  EXPECT_EQ(ParseShape(config_, "config.json")->sliding_window, 4096);
  config_["sliding_window"] = nullptr;
  if (always) {
    EXPECT_EQ(ParseShape(config_, "config.json")->sliding_window, 0);
  } else {
    EXPECT_THAT(Error().message(), HasSubstr("'sliding_window'"));
  }
  config_["sliding_window"] = 0;
  EXPECT_THAT(Error().message(), HasSubstr("config.json.sliding_window is 0"));
}

TEST_P(FamilyContract, AbsentKeysHaveTheDefaultsOfTransformers) {
  config_["max_position_embeddings"] = 32768;
  config_["sliding_window"] = nullptr;
  config_.erase("rms_norm_eps");
  const std::string_view architecture = GetParam()->architecture;
  const bool is_qwen2_vl = architecture == "Qwen2VLForConditionalGeneration" ||
                           architecture == "Qwen2_5_VLForConditionalGeneration";
  auto shape = ParseShape(config_, "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_EQ(shape->norm_epsilon, is_qwen2_vl ? 1e-5F : 1e-6F);
  EXPECT_EQ(shape->sliding_window, 0);
  config_.erase("sliding_window");
  shape = ParseShape(config_, "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_EQ(shape->sliding_window, architecture == "MistralForCausalLM" ? 4096 : 0);
}

TEST_P(FamilyContract, HarmlessKeysAreAccepted) {
  config_["use_sliding_window"] = false;
  config_["sliding_window"] = nullptr;
  config_["rope_scaling"] = nullptr;
  config_["attention_bias"] = false;
  config_["layer_types"] = {"full_attention", "full_attention", "full_attention"};
  config_["num_key_value_heads"] = nullptr;
  config_["something_new"] = {1, 2, 3};
  const auto shape = ParseShape(config_, "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_EQ(shape->kv_heads, shape->heads);
}

TEST(ParseShape, AnUnknownArchitectureGetsTheListOfKnownOnes) {
  const format::Json config{{"architectures", {"MambaForCausalLM"}}};
  const auto shape = ParseShape(config, "m/config.json");
  EXPECT_EQ(shape.status().code(), StatusCode::kUnimplemented);
  EXPECT_THAT(shape.status().message(), HasSubstr("m/config.json"));
  EXPECT_THAT(shape.status().message(), HasSubstr("'MambaForCausalLM'"));
  for (const Family* const family : kFamilies) {
    EXPECT_THAT(shape.status().message(), HasSubstr(std::string(family->architecture)));
  }
}

TEST(ParseShape, AnyJsonThatIsNoConfigurationIsRefused) {
  for (const char* const text :
       {"null", "3", "[]", "\"text\"", "{}", R"({"architectures": []})",
        R"({"architectures": "Qwen3ForCausalLM"})", R"({"architectures": [null]})",
        R"({"architectures": {"0": "x"}})"}) {
    const auto shape = ParseShape(*format::ParseJson(text, "t"), "config.json");
    EXPECT_EQ(shape.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(shape.status().message(), HasSubstr("config.json")) << text;
  }
}

TEST(Qwen3, HasNormsOnHeadsAndNoBiases) {
  format::Json config = ConfigOf(kQwen3);
  const auto shape = ParseShape(config, "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_TRUE(shape->qk_norm);
  EXPECT_FALSE(shape->qkv_bias);
  config["attention_bias"] = true;
  EXPECT_THAT(ParseShape(config, "config.json").status().message(), HasSubstr("attention_bias"));
}

TEST(Qwen3, HeadSizeIs128WhereTheConfigurationLeavesItOut) {
  format::Json config = ConfigOf(kQwen3);
  config.erase("head_dim");
  EXPECT_EQ(ParseShape(config, "config.json")->head_size, 128);
}

TEST(PublishedModels, HaveAsManyParametersAsTheirMakersSay) {
  const std::pair<std::string_view, std::int64_t> expected[] = {
      {"Qwen1.5-1.8B", 1836828672},
      {"Qwen2-7B", 7615616512},
      {"Qwen2.5-0.5B", 494032768},
      {"Qwen2.5-1.5B", 1543714304},
      {"DeepSeek-R1-Distill-Qwen-1.5B", 1777088000},
      {"DeepSeek-R1-Distill-Qwen-7B", 7615616512},
      {"DeepSeek-R1-Distill-Qwen-32B", 32763876352},
      {"Llama3-8B", 8030261248},
      {"Mistral-7B-v0.1", 7241732096},
      {"Mistral-7B-v0.3", 7248023552},
      {"Mistral-Nemo-12B", 12247782400},
      {"Qwen3-0.6B", 596049920},
      {"Qwen3-1.7B", 1720574976},
      {"Qwen3-4B", 4022468096},
      {"Qwen3-8B", 8190735360},
  };
  const std::vector<PublishedModel> models = PublishedModels();
  for (const auto& [name, parameters] : expected) {
    const auto found = std::find_if(models.begin(), models.end(),
                                    [&, n = name](const auto& model) { return model.name == n; });
    ASSERT_NE(found, models.end()) << name;
    EXPECT_EQ(found->shape.parameters(), parameters) << name;
  }
}

/// A configuration in the form that visual-language models have now.
format::Json NestedConfigOf(const Family& family) {
  format::Json text = ConfigOf(family);
  text.erase("architectures");
  text["tie_word_embeddings"] = false;
  return {{"architectures", {family.architecture}},
          {"text_config", text},
          {"tie_word_embeddings", true},
          {"vision_config", {{"depth", 2}}}};
}

class VisualFamily : public ::testing::TestWithParam<const Family*> {};

INSTANTIATE_TEST_SUITE_P(All, VisualFamily, ::testing::Values(&kQwen2Vl, &kQwen25Vl, &kQwen3Vl),
                         [](const auto& test) { return std::string(test.param->name); });

TEST_P(VisualFamily, ReadsTheLanguageModelFromItsPart) {
  const auto shape = ParseShape(NestedConfigOf(*GetParam()), "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_EQ(shape->width, 64);
  EXPECT_EQ(shape->rope_theta, 500000.0);
  EXPECT_TRUE(shape->tied_head);  // the top has the last word
  EXPECT_EQ(shape->possible_names.size(), 2U);
  EXPECT_FALSE(shape->names.visual.empty());
}

TEST_P(VisualFamily, MessagesNameTheLanguageModelsPart) {
  format::Json config = NestedConfigOf(*GetParam());
  config["text_config"]["hidden_size"] = 0;
  EXPECT_THAT(ParseShape(config, "config.json").status().message(),
              HasSubstr("config.json.text_config.hidden_size is 0"));
  config["text_config"] = 3;
  EXPECT_THAT(ParseShape(config, "config.json").status().message(),
              HasSubstr("config.json.text_config is"));
}

TEST_P(VisualFamily, TakesTheSectionsOfItsRope) {
  format::Json config = NestedConfigOf(*GetParam());
  config["text_config"]["rope_scaling"] = {{"type", "mrope"}, {"mrope_section", {2, 3, 3}}};
  const auto shape = ParseShape(config, "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_FALSE(shape->rope_scaling);
}

TEST(Qwen2, HasBiasesAndNoNormsOnHeads) {
  format::Json config = ConfigOf(kQwen2);
  config.erase("head_dim");
  const auto shape = ParseShape(config, "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_TRUE(shape->qkv_bias);
  EXPECT_FALSE(shape->qk_norm);
  EXPECT_EQ(shape->head_size, 16);
}

TEST(Llama, HasNeitherBiasesNorNormsOnHeads) {
  format::Json config = ConfigOf(kLlama);
  const auto shape = ParseShape(config, "config.json");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_FALSE(shape->qkv_bias);
  EXPECT_FALSE(shape->qk_norm);
  config["attention_bias"] = true;
  EXPECT_THAT(ParseShape(config, "config.json").status().message(), HasSubstr("attention_bias"));
}

TEST(Mistral, HasItsWindowInEveryLayerUnlessItIsNull) {
  format::Json config = ConfigOf(kMistral);
  EXPECT_EQ(ParseShape(config, "config.json")->max_positions, 128);
  config["sliding_window"] = 48;
  EXPECT_EQ(ParseShape(config, "config.json")->max_positions, 48);
  config["sliding_window"] = nullptr;
  EXPECT_EQ(ParseShape(config, "config.json")->sliding_window, 0);
}

TEST(DecoderNames, TellWhatBelongsToTheVisualTower) {
  EXPECT_TRUE(kVisualBeside.IsVisual("visual.blocks.0.norm1.weight"));
  EXPECT_FALSE(kVisualBeside.IsVisual("visually.weight"));
  EXPECT_FALSE(kVisualBeside.IsVisual("visual"));
  EXPECT_TRUE(kVisualWithin.IsVisual("model.visual.pos_embed.weight"));
  EXPECT_FALSE(kVisualWithin.IsVisual("model.language_model.norm.weight"));
  EXPECT_FALSE(DecoderNames().IsVisual("visual.blocks.0.norm1.weight"));
}

// Wavelengths of 128 positions at most are kept, from 512 on they are divided, between blended.
TEST(RopeFrequencies, AreScaledByTheirWavelengthWhereLlama3AsksForIt) {
  const Llama3Scaling scaling{8.0, 1.0, 4.0, 512};
  const auto of_wavelength = [](float length) { return 6.2831853F / length; };
  EXPECT_EQ(scaling.Scaled(of_wavelength(100)), of_wavelength(100));
  EXPECT_FLOAT_EQ(scaling.Scaled(of_wavelength(600)), of_wavelength(600) / 8.0F);
  // 512 / 256 is a third of the way from 1 to 4.
  EXPECT_NEAR(scaling.Scaled(of_wavelength(256)) / of_wavelength(256),
              (2.0 / 3.0) / 8.0 + 1.0 / 3.0, 1e-6);
}

TEST(RopeFrequencies, FallFromOneByEqualFactors) {
  ModelShape shape;
  shape.head_size = 8;
  shape.rope_theta = 10000.0;
  const std::vector<float> frequencies = RopeFrequencies(shape);
  ASSERT_EQ(frequencies.size(), 4U);
  const float expected[] = {1.0F, 0.1F, 0.01F, 0.001F};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_FLOAT_EQ(frequencies[i], expected[i]);
  }
}

}  // namespace
}  // namespace tyllm::model
