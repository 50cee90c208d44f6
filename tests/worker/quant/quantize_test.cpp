// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/made_model.h"
#include "worker/model/checkpoint.h"

namespace tyllm::quant {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::ModelDirectory;
using testing::SmallModel;

class RecordedProgress final : public domain::ProgressSink {
 public:
  void Report(const domain::Progress& progress) override { records.push_back(progress); }

  std::vector<domain::Progress> records;
};

class Quantizing : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::internal::WriteText(folder_ / "text.txt", testing::MadeText(4000));
    request_.model = folder_ / "model";
    request_.out = folder_ / "out";
    request_.calibration_text = folder_ / "text.txt";
    request_.options.group_size = 32;
    request_.options.samples = 8;
    request_.options.seq_len = 64;
    request_.threads = 2;
  }

  Result<QuantizationReport> Run(const ModelDirectory& model) {
    std::filesystem::remove_all(request_.model);
    testing::WriteModel(model, request_.model);
    return Quantize(request_, progress_);
  }

  /// The error's text; nothing may be left at or beside the output's name.
  std::string Refusal(const ModelDirectory& model, StatusCode code) {
    const auto report = Run(model);
    EXPECT_FALSE(report.ok());
    EXPECT_EQ(report.status().code(), code) << report.status().ToString();
    EXPECT_FALSE(std::filesystem::exists(request_.out));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out.partial"));
    return report.status().message();
  }

  testing::TemporaryDirectory folder_;
  QuantizeRequest request_;
  RecordedProgress progress_;
};

TEST_F(Quantizing, MakesACompleteModelDirectory) {
  const auto report = Run(SmallModel());
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  const auto files = testing::FilesOf(request_.out);
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "extra/notes.txt",
                           "chat_template.jinja", "quantization_report.json"}) {
    EXPECT_TRUE(files.contains(name)) << name;
  }
  const auto written = model::Checkpoint::Open(request_.out);
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_EQ(written->format(), model::CheckpointFormat::kAmtc);
  EXPECT_EQ(written->group_size(), 32);
  EXPECT_TRUE(written->IsQuantized("model.layers.1.mlp.down_proj"));
  EXPECT_FALSE(written->IsQuantized("lm_head"));
  EXPECT_EQ(report->linears.size(), 14U);
  EXPECT_LT(report->mean_error, report->mean_rtn_error);
  EXPECT_EQ(report->calibration->tokens, 512);
}

TEST_F(Quantizing, WritesTheReportThatItGives) {
  const auto report = Run(SmallModel());
  ASSERT_TRUE(report.ok());
  const auto json = format::ReadJsonFile(request_.out / "quantization_report.json");
  const auto read = format::FromJson<QuantizationReport>(*json, "report");
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->linears, report->linears);
  EXPECT_EQ(read->options, request_.options);
  EXPECT_THAT(ReportText(*report), AllOf(HasSubstr("14 of 14"), HasSubstr("to nearest")));
}

TEST_F(Quantizing, GivesTheSameWeightsWithAnyNumberOfThreads) {
  ASSERT_TRUE(Run(SmallModel()).ok());
  const std::string two = testing::FilesOf(request_.out).at("model.safetensors");
  for (const int threads : {1, 3}) {
    request_.threads = threads;
    request_.out = folder_ / ("out" + std::to_string(threads));
    ASSERT_TRUE(Run(SmallModel()).ok());
    EXPECT_TRUE(testing::FilesOf(request_.out).at("model.safetensors") == two) << threads;
  }
}

TEST_F(Quantizing, ToEveryLayoutGivesTheSameNumbers) {
  ASSERT_TRUE(Run(SmallModel()).ok());
  const auto amtc = model::Checkpoint::Open(request_.out);
  for (const auto format :
       {domain::QuantizedFormat::kAwq, domain::QuantizedFormat::kCompressedTensors}) {
    const std::string name(domain::kQuantizedFormatNames.Name(format));
    request_.out = folder_ / name;
    request_.options.format = format;
    ASSERT_TRUE(Run(SmallModel()).ok());
    const auto other = model::Checkpoint::Open(request_.out);
    ASSERT_TRUE(other.ok()) << other.status().ToString();
    EXPECT_EQ(model::kCheckpointFormatNames.Name(other->format()), name);
    EXPECT_EQ(other->config()["quantization_config"]["quant_method"], name);
    const std::string linear = "model.layers.0.mlp.gate_proj";
    EXPECT_EQ(*other->ReadLinear(linear), *amtc->ReadLinear(linear));
  }
}

TEST_F(Quantizing, GivesALargeModelAFileForEachLayer) {
  ASSERT_TRUE(Run(SmallModel()).ok());
  const auto one = model::Checkpoint::Open(request_.out);
  request_.single_file_bytes = 30000;
  request_.out = folder_ / "layers";
  ASSERT_TRUE(Run(SmallModel()).ok());
  const auto files = testing::FilesOf(request_.out);
  EXPECT_TRUE(files.contains("model.safetensors.index.json"));
  EXPECT_TRUE(files.contains("model-00004-of-00004.safetensors"));
  EXPECT_FALSE(files.contains("model.safetensors"));
  const auto many = model::Checkpoint::Open(request_.out);
  ASSERT_TRUE(many.ok()) << many.status().ToString();
  ASSERT_EQ(many->TensorNames(), one->TensorNames());
  for (const std::string& name : one->TensorNames()) {
    EXPECT_TRUE(std::ranges::equal(many->Find(name)->bytes, one->Find(name)->bytes)) << name;
  }
}

TEST_F(Quantizing, GivesEqualFoldersForEqualRequests) {
  ASSERT_TRUE(Run(SmallModel()).ok());
  const auto first = testing::FilesOf(request_.out);
  request_.out = folder_ / "again";
  request_.threads = 1;
  ASSERT_TRUE(Run(SmallModel()).ok());
  EXPECT_TRUE(testing::FilesOf(request_.out) == first);
}

TEST_F(Quantizing, ByRoundingNeedsNoText) {
  request_.options.method = domain::QuantizeMethod::kRtn;
  request_.calibration_text.clear();
  const auto report = Run(SmallModel());
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->mean_error, report->mean_rtn_error);
  EXPECT_FALSE(report->calibration.has_value());
  // Round-to-nearest touches nothing but the linears.
  const auto source = model::Checkpoint::Open(request_.model);
  const auto written = model::Checkpoint::Open(request_.out);
  const std::string norm = "model.layers.0.input_layernorm.weight";
  EXPECT_EQ(*written->ReadFloats(norm), *source->ReadFloats(norm));
}

TEST_F(Quantizing, KeepsModulesInFloatAndWarnsOfHalfASet) {
  request_.options.keep_float = {R"(layers\.0\..*q_proj)", "visual"};
  const auto report = Run(SmallModel());
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  const auto written = model::Checkpoint::Open(request_.out);
  EXPECT_FALSE(written->IsQuantized("model.layers.0.self_attn.q_proj"));
  EXPECT_TRUE(written->IsQuantized("model.layers.1.self_attn.q_proj"));
  EXPECT_THAT(report->warnings, Contains(AllOf(HasSubstr("not all of"), HasSubstr("k_proj"))));
  EXPECT_THAT(report->warnings, Contains(HasSubstr("'visual' matches no linear")));
}

TEST_F(Quantizing, DoesNotStoreATiedHeadTwice) {
  ModelDirectory model = SmallModel();
  model.config["tie_word_embeddings"] = true;  // the file still holds the head
  ASSERT_TRUE(Run(model).ok());
  const auto written = model::Checkpoint::Open(request_.out);
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_FALSE(written->Has("lm_head.weight"));
}

TEST_F(Quantizing, CopiesTensorsThatTheArchitectureDoesNotUse) {
  ModelDirectory model = SmallModel();
  model.tensors["model.extra.table"] = testing::MadeHalves("extra", {3, 5});
  const auto report = Run(model);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_THAT(report->warnings, Contains(HasSubstr("model.extra.table")));
  EXPECT_TRUE(model::Checkpoint::Open(request_.out)->Has("model.extra.table"));
}

TEST_F(Quantizing, ReportsLayersOfEachStage) {
  ASSERT_TRUE(Run(SmallModel()).ok());
  const domain::Progress* calibrated = nullptr;
  const domain::Progress* quantized = nullptr;
  for (const domain::Progress& record : progress_.records) {
    EXPECT_LE(record.done, record.total);
    calibrated = record.stage == "calibrate" ? &record : calibrated;
    quantized = record.stage == "quantize" ? &record : quantized;
  }
  ASSERT_TRUE(calibrated != nullptr && quantized != nullptr);
  EXPECT_EQ(calibrated->done, 2);
  EXPECT_EQ(quantized->done, 2);
  EXPECT_EQ(quantized->unit, "layers");
}

TEST_F(Quantizing, RefusesAGroupSizeThatDoesNotDivideNamingTheLinear) {
  request_.options.group_size = 64;  // width 64, but an MLP of 96
  EXPECT_THAT(Refusal(SmallModel(), StatusCode::kInvalidArgument),
              AllOf(HasSubstr("down_proj"), HasSubstr("64"), HasSubstr("96")));
}

TEST_F(Quantizing, RefusesAModelThatIsQuantized) {
  EXPECT_THAT(Refusal(ModelDirectory::Quantized(ModelDirectory::SmallQwen3Config(),
                                                model::CheckpointFormat::kAwqGemm, 32),
                      StatusCode::kFailedPrecondition),
              HasSubstr("quantized already"));
}

TEST_F(Quantizing, RefusesWeightsThatAreNotNumbersNamingTheTensor) {
  for (const int code : {0x7e00, 0x7c00, 0xfc00}) {  // NaN and both infinities
    const auto bad = static_cast<std::uint16_t>(code);
    for (const std::string name :
         {"model.layers.1.mlp.up_proj.weight", "model.layers.0.input_layernorm.weight",
          "model.embed_tokens.weight"}) {
      ModelDirectory model = SmallModel();
      std::memcpy(model.tensors[name].bytes.data() + 6, &bad, sizeof(bad));
      EXPECT_THAT(Refusal(model, StatusCode::kInvalidArgument),
                  AllOf(HasSubstr(name), HasSubstr("position 3")));
    }
  }
}

TEST_F(Quantizing, RefusesABiasThatIsNoNumberNamingTheTensor) {
  format::Json config = SmallModel().config;
  config["architectures"] = {"Qwen2ForCausalLM"};
  config["model_type"] = "qwen2";
  const std::string name = "model.layers.1.self_attn.v_proj.bias";
  for (const auto method : {domain::QuantizeMethod::kAwqGptq, domain::QuantizeMethod::kRtn}) {
    for (const int code : {0x7e00, 0x7c00}) {  // NaN and infinity
      request_.options.method = method;
      const auto bad = static_cast<std::uint16_t>(code);
      ModelDirectory model = ModelDirectory::Float(config);
      std::memcpy(model.tensors.at(name).bytes.data() + 6, &bad, sizeof(bad));
      EXPECT_THAT(Refusal(model, StatusCode::kInvalidArgument),
                  AllOf(HasSubstr(name), HasSubstr("position 3")));
    }
  }
}

TEST_F(Quantizing, RefusesAModelThatOverflowsNamingTheLinear) {
  ModelDirectory model = SmallModel();
  constexpr std::uint16_t kLarge = 0x7b00;  // 57344
  for (const char* name : {"post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj"}) {
    std::vector<std::byte>& bytes =
        model.tensors.at("model.layers.0." + std::string(name) + ".weight").bytes;
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(kLarge)) {
      std::memcpy(bytes.data() + at, &kLarge, sizeof(kLarge));
    }
  }
  EXPECT_THAT(Refusal(model, StatusCode::kDataLoss),
              AllOf(HasSubstr("model.layers.0.mlp.down_proj"), HasSubstr("not finite")));
}

TEST_F(Quantizing, RefusesTooLittleText) {
  request_.options.samples = 1000;
  EXPECT_THAT(Refusal(SmallModel(), StatusCode::kInvalidArgument), HasSubstr("64000"));
}

TEST_F(Quantizing, RefusesWindowsThatTheModelHasNoPositionsFor) {
  request_.options.seq_len = 256;
  request_.options.samples = 2;
  EXPECT_THAT(Refusal(SmallModel(), StatusCode::kInvalidArgument), HasSubstr("128 positions"));
}

TEST_F(Quantizing, RefusesToKeepEverything) {
  request_.options.keep_float = {"."};
  EXPECT_THAT(Refusal(SmallModel(), StatusCode::kInvalidArgument), HasSubstr("nothing is left"));
}

TEST_F(Quantizing, RefusesAnExpressionThatIsNone) {
  request_.options.keep_float = {"["};
  EXPECT_THAT(Refusal(SmallModel(), StatusCode::kInvalidArgument), HasSubstr("'['"));
}

TEST_F(Quantizing, RefusesAFolderThatHoldsSomething) {
  ASSERT_TRUE(Run(SmallModel()).ok());
  EXPECT_EQ(Run(SmallModel()).status().code(), StatusCode::kAlreadyExists);
}

TEST_F(Quantizing, RefusesAnOutputFolderInTheModelDirectory) {
  testing::WriteModel(SmallModel(), request_.model);
  const auto before = testing::FilesOf(request_.model);
  std::filesystem::create_directory_symlink(request_.model, folder_ / "link");
  for (const Path& out : {request_.model / "out", request_.model / "extra" / ".." / "out" / "",
                          folder_ / "link" / "deep" / "out", request_.model}) {
    request_.out = out;
    const auto report = Quantize(request_, progress_);
    EXPECT_EQ(report.status().code(), StatusCode::kInvalidArgument) << out;
    EXPECT_THAT(report.status().message(), HasSubstr("lies in the model directory"));
  }
  EXPECT_TRUE(testing::FilesOf(request_.model) == before);
  request_.out = folder_ / "model-out";
  EXPECT_TRUE(Quantize(request_, progress_).ok());
}

TEST_F(Quantizing, SaysThatTheDiskIsFull) {
  testing::WriteModel(SmallModel(), request_.model);
  testing::FaultyFileSystem files(20);
  const auto report = Quantize(request_, progress_, {files, SystemClock()});
  EXPECT_EQ(report.status().code(), StatusCode::kResourceExhausted);
  EXPECT_FALSE(std::filesystem::exists(request_.out));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out.partial")) << "to go on with";
}

}  // namespace
}  // namespace tyllm::quant
