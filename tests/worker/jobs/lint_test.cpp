// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/lint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tests/support/model_directory.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::jobs {
namespace {

using model::CheckpointFormat;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::ModelDirectory;

class VllmLint : public ::testing::Test {
 protected:
  /// Widths that vLLM likes: two layers, width 256, 8:8 heads of 32, MLP of 1024, groups of 32.
  static format::Json Config() {
    format::Json config = ModelDirectory::SmallQwen3Config();
    config["hidden_size"] = 256;
    config["num_attention_heads"] = 8;
    config["num_key_value_heads"] = 8;
    config["head_dim"] = 32;
    config["intermediate_size"] = 1024;
    return config;
  }

  void Make(CheckpointFormat format, const format::Json& config = Config()) {
    model_ = ModelDirectory::Quantized(config, format, 32);
  }

  format::Json& Quantization() { return model_.config["quantization_config"]; }

  void Write() {
    model_.Write(folder_.path());
    for (const char* const name : {"tokenizer.json", "tokenizer_config.json",
                                   "generation_config.json", "chat_template.jinja"}) {
      testing::internal::WriteText(folder_ / name, "{}");
    }
  }

  LintReport Lint() {
    const auto report = LintForVllm(folder_.path());
    EXPECT_TRUE(report.ok()) << report.status().ToString();
    return report.ok() ? *report : LintReport{};
  }

  /// The model, written, has exactly one finding: of this rule and level, with these words.
  template <typename... Parts>
  void ExpectFinding(std::string_view rule, LintLevel level, Parts... parts) {
    Write();
    const LintReport report = Lint();
    ASSERT_EQ(report.findings.size(), 1U) << ReportText(report);
    EXPECT_EQ(report.findings[0].rule, rule);
    EXPECT_EQ(report.findings[0].level, level);
    EXPECT_THAT(report.findings[0].message, AllOf(HasSubstr(std::string(parts))...));
    EXPECT_EQ(report.errors, level == LintLevel::kError ? 1 : 0);
    EXPECT_EQ(report.warnings, level == LintLevel::kWarning ? 1 : 0);
  }

  /// Makes a linear layer a float one.
  void KeepFloat(const std::string& linear, std::int64_t out, std::int64_t in) {
    std::erase_if(model_.tensors,
                  [&](const auto& entry) { return entry.first.starts_with(linear + "."); });
    model_.tensors[linear + ".weight"] = testing::MadeHalves(linear, {out, in});
  }

  testing::TemporaryDirectory folder_;
  ModelDirectory model_ = ModelDirectory::Float(Config());
};

TEST_F(VllmLint, FindsNothingWrongWithSoundModels) {
  for (const CheckpointFormat format : {CheckpointFormat::kAwqGemm, CheckpointFormat::kGptq,
                                        CheckpointFormat::kCompressedTensors}) {
    Make(format);
    Write();
    const LintReport report = Lint();
    EXPECT_TRUE(report.findings.empty()) << ReportText(report);
    EXPECT_EQ(report.rules.size(), kVllmRules.size());
    ASSERT_EQ(report.tensor_parallel.size(), 4U);
    for (const ParallelSize& size : report.tensor_parallel) {
      EXPECT_TRUE(size.loads) << size.size;
    }
  }
  model_ = ModelDirectory::Float(Config());
  Write();
  EXPECT_TRUE(Lint().findings.empty());
}

TEST_F(VllmLint, RulesHaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const LintRule& rule : kVllmRules) {
    EXPECT_TRUE(names.insert(rule.name).second);
  }
}

TEST_F(VllmLint, AmtcIsNotLoaded) {
  Make(CheckpointFormat::kAmtc);
  model_.config.erase("quantization_config");
  ExpectFinding("format", LintLevel::kError, "AMTC", "tyllm convert");
}

TEST_F(VllmLint, AMissingQuantizationConfigIsAnError) {
  Make(CheckpointFormat::kAwqGemm);
  model_.config.erase("quantization_config");
  ExpectFinding("format", LintLevel::kError, "no quantization_config");
}

TEST_F(VllmLint, AConfigurationInAFileOfItsOwnNeedsAnOption) {
  Make(CheckpointFormat::kAwqGemm);
  testing::internal::WriteText(folder_ / "quant_config.json", Quantization().dump());
  format::Json quantization = Quantization();
  model_.config.erase("quantization_config");
  ExpectFinding("format", LintLevel::kWarning, "quant_config.json", "--quantization");
  quantization.erase("bits");
  testing::internal::WriteText(folder_ / "quant_config.json", quantization.dump());
  const LintReport report = Lint();
  EXPECT_EQ(report.errors, 1) << ReportText(report);
  EXPECT_EQ(report.warnings, 1);
}

TEST_F(VllmLint, KeysMustHaveTheirExactNames) {
  Make(CheckpointFormat::kAwqGemm);
  Quantization().erase("bits");
  ExpectFinding("keys", LintLevel::kError, "no 'bits'");
  Quantization()["w_bit"] = 4;
  ExpectFinding("keys", LintLevel::kWarning, "'w_bit'", "Marlin");
  Make(CheckpointFormat::kAwqGemm);
  Quantization()["version"] = "GEMM";
  ExpectFinding("keys", LintLevel::kError, "\"GEMM\"", "lower case");
  Make(CheckpointFormat::kAwqGemm);
  Quantization().erase("zero_point");
  ExpectFinding("keys", LintLevel::kError, "no 'zero_point'");
}

TEST_F(VllmLint, GroupSizesAreThoseOfTheKernels) {
  model_ = ModelDirectory::Quantized(Config(), CheckpointFormat::kCompressedTensors, 16);
  ExpectFinding("group-size", LintLevel::kError, "16", "no kernel");
}

TEST_F(VllmLint, ElementTypesOtherThanFloat16AreNamed) {
  Make(CheckpointFormat::kAwqGemm);
  model_.config["torch_dtype"] = "bfloat16";
  ExpectFinding("element-type", LintLevel::kWarning, "bfloat16", "awq_marlin");
  model_.config["torch_dtype"] = "float32";
  ExpectFinding("element-type", LintLevel::kError, "float32");
  model_.config.erase("torch_dtype");
  ExpectFinding("element-type", LintLevel::kWarning, "no dtype");
}

TEST_F(VllmLint, AnEntryOfTheSkipListIsAPartOfNames) {
  Make(CheckpointFormat::kAwqGemm);
  Quantization()["modules_to_not_convert"] = {"gate"};
  ExpectFinding("skip-list", LintLevel::kError, "'gate'", "model.layers.0.mlp.gate_proj");
  Quantization()["modules_to_not_convert"] = {"model.layers.1"};
  ExpectFinding("skip-list", LintLevel::kError, "ends in a layer's number");
  Quantization()["modules_to_not_convert"] = {"router"};
  ExpectFinding("skip-list", LintLevel::kWarning, "'router'", "no module");
}

TEST_F(VllmLint, AFloatLayerMustBeOnTheList) {
  const std::string down = "model.layers.1.mlp.down_proj";
  Make(CheckpointFormat::kAwqGemm);
  KeepFloat(down, 256, 1024);
  ExpectFinding("skip-list", LintLevel::kWarning, down, "newer");
  Quantization()["modules_to_not_convert"] = {"lm_head"};
  ExpectFinding("skip-list", LintLevel::kError, down, "does not name it");
  Quantization()["modules_to_not_convert"] = {down};
  Write();
  EXPECT_TRUE(Lint().findings.empty());
}

TEST_F(VllmLint, CompressedTensorsIgnoreByWholeNamesAndExpressions) {
  const std::string down = "model.layers.1.mlp.down_proj";
  Make(CheckpointFormat::kCompressedTensors);
  Quantization()["ignore"] = {"lm_head", "mlp.down_proj"};
  ExpectFinding("skip-list", LintLevel::kWarning, "'mlp.down_proj'", "no module");
  Quantization()["ignore"] = {"lm_head", "re:.*down_proj"};
  ExpectFinding("skip-list", LintLevel::kError, "re:.*down_proj", "model.layers.0.mlp.down_proj");
  KeepFloat(down, 256, 1024);
  Quantization()["ignore"] = {"lm_head", "re:model.*1.*down_proj"};
  Write();
  EXPECT_TRUE(Lint().findings.empty());
}

TEST_F(VllmLint, LayersThatAreComputedAsOneAreAllQuantizedOrNone) {
  Make(CheckpointFormat::kAwqGemm);
  KeepFloat("model.layers.1.mlp.up_proj", 1024, 256);
  Quantization()["modules_to_not_convert"] = {"model.layers.1.mlp.up_proj"};
  ExpectFinding("fused-layers", LintLevel::kError, "model.layers.1", "1 of 2", "mlp.gate_proj");
}

TEST_F(VllmLint, SizesThatDoNotDivideAreSaidForEachNumberOfGpus) {
  format::Json config = Config();
  config["intermediate_size"] = 1088;  // 34 groups of 32: in 2 parts, not in 4
  Make(CheckpointFormat::kAwqGemm, config);
  Write();
  const LintReport report = Lint();
  EXPECT_EQ(report.errors, 0);
  ASSERT_EQ(report.tensor_parallel.size(), 4U);
  EXPECT_TRUE(report.tensor_parallel[0].loads);
  EXPECT_TRUE(report.tensor_parallel[1].loads);
  EXPECT_FALSE(report.tensor_parallel[2].loads);
  EXPECT_THAT(report.tensor_parallel[2].reasons.at(0),
              AllOf(HasSubstr("mlp.down_proj"), HasSubstr("272 each"), HasSubstr("32")));
  EXPECT_FALSE(report.tensor_parallel[3].loads);
}

TEST_F(VllmLint, KvHeadsAreCopiedWhereThereAreMoreGpus) {
  format::Json config = Config();
  config["num_key_value_heads"] = 2;
  Make(CheckpointFormat::kAwqGemm, config);
  Write();
  for (const ParallelSize& size : Lint().tensor_parallel) {
    EXPECT_TRUE(size.loads) << size.size;
  }
  config["num_attention_heads"] = 6;
  Make(CheckpointFormat::kAwqGemm, config);
  Write();
  const LintReport report = Lint();
  EXPECT_TRUE(report.tensor_parallel[1].loads);
  EXPECT_THAT(report.tensor_parallel[2].reasons.at(0), HasSubstr("6 heads"));
}

TEST_F(VllmLint, WhatTheFastKernelsDoNotTakeIsSaid) {
  Make(CheckpointFormat::kAwqGemm);
  Write();
  const LintReport sound = Lint();
  EXPECT_TRUE(sound.tensor_parallel[1].slower.empty());
  ASSERT_EQ(sound.tensor_parallel[2].slower.size(), 1U);  // o_proj: 256 inputs in four parts
  EXPECT_THAT(sound.tensor_parallel[2].slower[0],
              AllOf(HasSubstr("o_proj"), HasSubstr("64 inputs"), HasSubstr("128")));
  EXPECT_THAT(ReportText(sound), HasSubstr("1 yes, 2 yes, 4 yes, slower"));
  format::Json config = Config();
  config["intermediate_size"] = 1056;
  Make(CheckpointFormat::kAwqGemm, config);
  Write();
  const LintReport report = Lint();
  ASSERT_FALSE(report.findings.empty());
  EXPECT_EQ(report.findings[0].rule, "tensor-parallel");
  EXPECT_EQ(report.findings[0].level, LintLevel::kWarning);
  EXPECT_THAT(report.findings[0].message, AllOf(HasSubstr("Marlin"), HasSubstr("1056 inputs")));
}

TEST_F(VllmLint, LayersThatAreComputedAsOneCountAsOne) {
  format::Json config = Config();
  config["num_key_value_heads"] = 1;  // k and v alone have 32 outputs, with q they are 320
  Make(CheckpointFormat::kAwqGemm, config);
  Write();
  const LintReport report = Lint();
  EXPECT_EQ(report.findings.size(), 0U) << ReportText(report);
}

TEST_F(VllmLint, NamesAreThoseThatTheArchitectureIsLoadedBy) {
  format::Json text = Config();
  text["rope_scaling"] = {{"rope_type", "default"}, {"mrope_section", {8, 4, 4}}};
  format::Json config{{"architectures", {"Qwen3VLForConditionalGeneration"}},
                      {"torch_dtype", "float16"},
                      {"text_config", text}};
  model_ = ModelDirectory::Float(config);
  Write();
  const auto names_rule = [](const LintReport& report) {
    return std::ranges::count(report.findings, "module-names", &LintFinding::rule);
  };
  EXPECT_EQ(names_rule(Lint()), 0);
  std::map<std::string, testing::MadeTensor> renamed;
  for (auto& [name, tensor] : model_.tensors) {
    std::string old = name;
    if (const auto at = old.find("language_model."); at != std::string::npos) {
      old.erase(at, std::strlen("language_model."));
    }
    renamed[old] = std::move(tensor);
  }
  model_.tensors = std::move(renamed);
  Write();
  EXPECT_EQ(names_rule(Lint()), 1);
}

TEST_F(VllmLint, TensorsOfNoPartAreNamed) {
  Make(CheckpointFormat::kAwqGemm);
  model_.tensors["mtp.fc.weight"] = testing::MadeHalves("mtp", {8});
  ExpectFinding("unused-tensors", LintLevel::kWarning, "mtp.fc.weight");
}

TEST_F(VllmLint, AWeightFileSaysThatItIsOfPyTorch) {
  Make(CheckpointFormat::kAwqGemm);
  Write();
  // The same length, another word.
  std::string file = *LocalFileSystem().Read(folder_ / "model.safetensors");
  const std::size_t at = file.find("\"format\":\"pt\"");
  ASSERT_NE(at, std::string::npos);
  file.replace(at, 8, "\"farmot\"");
  testing::internal::WriteText(folder_ / "model.safetensors", file);
  const LintReport report = Lint();
  ASSERT_EQ(report.findings.size(), 1U) << ReportText(report);
  EXPECT_EQ(report.findings[0].rule, "metadata");
  EXPECT_EQ(report.errors, 1);
}

TEST_F(VllmLint, AnIndexBelongsToShards) {
  Make(CheckpointFormat::kAwqGemm);
  Write();
  testing::internal::WriteText(folder_ / "model.safetensors.index.json", "{}");
  const LintReport beside = Lint();
  ASSERT_EQ(beside.findings.size(), 1U) << ReportText(beside);
  EXPECT_EQ(beside.findings[0].rule, "index");
  std::filesystem::remove(folder_ / "model.safetensors");
  model_.WriteSharded(folder_.path(), 2);
  EXPECT_TRUE(Lint().findings.empty());
  testing::internal::WriteTensors(folder_ / "extra.safetensors",
                                  {{"extra", testing::MadeHalves("extra", {8})}});
  const LintReport extra = Lint();
  ASSERT_EQ(extra.findings.size(), 1U) << ReportText(extra);
  EXPECT_THAT(extra.findings[0].message, HasSubstr("extra.safetensors"));
}

TEST_F(VllmLint, MissingFilesAreNamed) {
  Make(CheckpointFormat::kAwqGemm);
  Write();
  std::filesystem::remove(folder_ / "tokenizer.json");
  std::filesystem::remove(folder_ / "generation_config.json");
  const LintReport report = Lint();
  EXPECT_EQ(report.errors, 1);
  EXPECT_EQ(report.warnings, 1);
  EXPECT_THAT(ReportText(report), AllOf(HasSubstr("error  files: tokenizer.json is missing"),
                                        HasSubstr("warning  files: generation_config.json"),
                                        HasSubstr("1 error and 1 warning by 13 rules of vllm")));
}

TEST_F(VllmLint, ADirectoryThatIsNoModelIsAnErrorOfItsOwn) {
  EXPECT_EQ(LintForVllm(folder_ / "nothing").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace tyllm::jobs
