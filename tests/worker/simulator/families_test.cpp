// SPDX-License-Identifier: Apache-2.0

// Every family on its whole way: quantized with AWQ, converted, compiled for one and two dies. The
// models are the goldens, whose shapes differ in all that a shard or a fold can trip over.
#include <gtest/gtest.h>

#include <cctype>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/made_model.h"
#include "tests/worker/simulator/compiled_model.h"
#include "worker/forward/generator.h"
#include "worker/quant/convert.h"
#include "worker/quant/quantize.h"
#include "worker/simulator/generate.h"
#include "worker/simulator/verify.h"

namespace tyllm::simulator {
namespace {

using namespace testing;
using Tokens = std::vector<std::int32_t>;

constexpr std::int64_t kNewTokens = 24;

class FamilyOnDies : public ::testing::TestWithParam<const char*> {
 protected:
  /// The golden's model with a tokenizer of bytes.
  void SetUp() override {
    const Path golden = Path(tyllm::testing::kTestData) / "goldens" / GetParam();
    std::filesystem::create_directories(float_);
    for (const char* const name : {"config.json", "model.safetensors"}) {
      std::filesystem::copy_file(golden / name, float_ / name);
    }
    tyllm::testing::internal::WriteText(float_ / "tokenizer.json",
                                        format::CompactJson(tyllm::testing::ByteTokenizerJson()));
    tyllm::testing::internal::WriteText(folder_ / "text.txt", tyllm::testing::MadeText(4000));
  }

  void Quantize() {
    quant::QuantizeRequest request;
    request.model = float_;
    request.out = amtc_;
    request.calibration_text = folder_ / "text.txt";
    request.options.group_size = 32;
    request.options.samples = 4;
    request.options.seq_len = 64;
    if (std::string_view(GetParam()).ends_with("vl")) {
      request.options.keep_float = {".*visual"};  // as users of other tools write it
    }
    request.threads = 1;
    const auto report = quant::Quantize(request, progress_);
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    for (const std::string& warning : report->warnings) {  // goldens have not all files of a model
      EXPECT_NE(warning.find(" is missing: without it "), std::string::npos) << warning;
    }
    EXPECT_LT(report->mean_error, report->mean_rtn_error);
    const auto converted = quant::Convert({amtc_, awq_, {}}, progress_, LocalFileSystem());
    ASSERT_TRUE(converted.ok()) << converted.status().ToString();
  }

  static Tokens Evaluated(const Path& directory) {
    const auto model = forward::OpenModel(directory);
    EXPECT_TRUE(model.ok()) << model.status().ToString();
    const auto backend = *tensor::MakeBackend("cpu", 1);
    forward::Generator generator(*model, *backend);
    return *generator.Generate(
        {.prompt = SomeTokens(21, 512), .max_tokens = kNewTokens, .stop = {}});
  }

  void ExpectOnDies(std::int64_t dies, const Tokens& expected) {
    domain::CompileOptions options = Options(dies);
    options.visual.text_only = true;
    options.seq_lens = dies == 1 ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>{1, 8};
    const Path directory = Compile(awq_, folder_ / "out", options);
    VerifyRequest request;
    request.directory = directory;
    request.model = awq_;
    const auto report = Verify(request, progress_);
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    const LoadedArtifact loaded = Load(directory);
    Session session = Open(loaded);
    const auto found = Generate(session, {SomeTokens(21, 512), kNewTokens, {}}, SystemClock());
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    EXPECT_EQ(found->tokens, expected) << dies << " dies";
  }

  tyllm::testing::TemporaryDirectory folder_;
  Path float_ = folder_ / "float";
  Path amtc_ = folder_ / "amtc";
  Path awq_ = folder_ / "awq";
  domain::NoProgress progress_;
};

INSTANTIATE_TEST_SUITE_P(All, FamilyOnDies,
                         ::testing::Values("tiny-qwen3", "tiny-qwen2", "tiny-qwen1.5",
                                           "tiny-llama3", "tiny-llama3.1", "tiny-mistral",
                                           "tiny-qwen2-vl", "tiny-qwen2.5-vl", "tiny-qwen3-vl"),
                         [](const auto& test) {
                           std::string name(test.param);
                           std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
                           return name;
                         });

TEST_P(FamilyOnDies, GreedyTextIsThatOfTheQuantizedModelEvaluated) {
  Quantize();
  const Tokens expected = Evaluated(awq_);
  EXPECT_EQ(Evaluated(amtc_), expected);
  for (const std::int64_t dies : {1, 2}) {
    ExpectOnDies(dies, expected);
  }
}

TEST_P(FamilyOnDies, TheVisualTowerPassesThroughAsItIs) {
  Quantize();
  const auto before = model::Checkpoint::Open(float_);
  const auto after = model::Checkpoint::Open(awq_);
  ASSERT_TRUE(before.ok() && after.ok());
  ASSERT_EQ(before->visual_tensors(), after->visual_tensors());
  for (const std::string& name : before->visual_tensors()) {
    const format::TensorView a = *before->Find(name);
    const format::TensorView b = *after->Find(name);
    EXPECT_EQ(a.dtype, b.dtype) << name;
    EXPECT_TRUE(std::ranges::equal(a.bytes, b.bytes)) << name;
  }
  const format::Json kept = after->config()["quantization_config"]["modules_to_not_convert"];
  EXPECT_EQ(kept.dump(),
            before->visual_tensors().empty() ? "null" : R"(["visual","model.visual"])");
}

// Of a family with several sets of names, the compiled model has those of its checkpoint.
TEST(NamesOnDies, AreThoseOfTheCheckpoint) {
  const tyllm::testing::TemporaryDirectory folder;
  const auto golden =
      model::Checkpoint::Open(Path(tyllm::testing::kTestData) / "goldens" / "tiny-qwen3-vl");
  ASSERT_TRUE(golden.ok()) << golden.status().ToString();
  tyllm::testing::ModelDirectory older{golden->config(), {}};
  constexpr std::string_view kNewer = "model.language_model.";
  for (const std::string& name : golden->TensorNames()) {
    const format::TensorView view = *golden->Find(name);
    const bool is_text = name.starts_with(kNewer);
    older.tensors[is_text ? "model." + name.substr(kNewer.size()) : name] = {
        view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}};
  }
  older.Write(folder / "model");
  domain::CompileOptions options = Options(1);
  options.seq_lens = {1};
  options.visual.text_only = true;
  const Path compiled = Compile(folder / "model", folder / "out", options);
  const LoadedArtifact loaded = Load(compiled);
  EXPECT_EQ(loaded.artifact().shape.names.layers, "model.layers");
  Session session = Open(loaded);
  EXPECT_TRUE(session.Feed(SomeTokens(5, 512)).ok());
}

}  // namespace
}  // namespace tyllm::simulator
