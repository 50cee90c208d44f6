// SPDX-License-Identifier: Apache-2.0
// Visual language models from a model directory to the published tree, run on images and videos.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "common/base/digest.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/layout.h"
#include "worker/artifact/visual_layout.h"
#include "worker/compile/compile.h"
#include "worker/compile/fit_report.h"
#include "worker/compile/object_cache.h"
#include "worker/compile/onnx/export.h"
#include "worker/forward/tower.h"
#include "worker/model/vision_shape.h"
#include "worker/simulator/run_model.h"
#include "worker/simulator/visual_golden.h"
#include "worker/tensor/cpu_backend.h"
#include "worker/tensor/steady_products.h"

namespace tyllm::compile {
namespace {

namespace fs = std::filesystem;

struct Case {
  const char* golden;
  domain::Modality modality;
  std::int64_t dies;
  const char* picture_digest;  ///< SHA-256 of golden_visual.safetensors, on every machine
  const char* text_digest;     ///< of golden.safetensors
};

CompileRequest RequestFor(const Case& wanted) {
  CompileRequest request = testing::GoldenRequest(wanted.dies);
  request.model = Path(tyllm::testing::kTestData) / "goldens" / wanted.golden;
  request.options.max_kv = 128;
  request.options.visual.image = "140x110";
  request.options.visual.modality = wanted.modality;
  request.options.visual.frames = 4;
  return request;
}

class VisualCompile : public ::testing::TestWithParam<Case> {
 protected:
  bool IsVideo() const { return GetParam().modality == domain::Modality::kVideo; }

  void Compile() {
    domain::NoProgress progress;
    const auto summary =
        compile::Compile(LocalFileSystem(), RequestFor(GetParam()), folder_.path(), progress);
    ASSERT_TRUE(summary.ok()) << summary.status().ToString();
    ASSERT_TRUE(summary->verified.has_value());
    report_ = *summary->verified;
    directory_ = summary->directory;
  }

  /// Asks the model in `directory` about the golden's picture, or a film of it.
  Result<simulator::RunReport> Ask(const Path& directory) {
    const Path model = Path(tyllm::testing::kTestData) / "goldens" / GetParam().golden;
    TYLLM_ASSIGN(const format::Json config, format::ReadJsonFile(model / "config.json"));
    TYLLM_ASSIGN(const model::VisionShape shape, model::ReadVision(config, "config.json"));
    simulator::RunRequest request;
    request.model.directory = directory;
    request.max_tokens = 5;
    const bool apart = IsVideo() && shape.video_time == model::VideoTime::kApart;
    request.token_ids = {3};
    for (int run = 0; run < (apart ? 2 : 1); ++run) {
      request.token_ids.insert(
          request.token_ids.end(),
          {shape.vision_start, IsVideo() ? shape.video_token : shape.image_token, shape.vision_end,
           7 + run});
    }
    request.media = {{IsVideo() ? Film() : Picture(), IsVideo(), std::nullopt}};
    return simulator::RunModel(request, SystemClock());
  }

  /// Of the size that the model was compiled for, so that both resize alike.
  Path Picture() const {
    return Path(tyllm::testing::kTestData) / "goldens" / GetParam().golden / "image.png";
  }

  Path Film() const {
    const Path film = folder_ / "film";
    fs::create_directories(film);
    for (int i = 0; i < 4; ++i) {
      fs::copy_file(Picture(), film / (std::to_string(i) + ".png"),
                    fs::copy_options::overwrite_existing);
    }
    return film;
  }

  tyllm::testing::TemporaryDirectory folder_;
  simulator::VerifyReport report_;
  Path directory_;
};

TEST_P(VisualCompile, GivesTheEvaluatedModelsFeaturesLogitsAndAnswer) {
  ASSERT_NO_FATAL_FAILURE(Compile());
  EXPECT_GT(report_.visual_tokens, 12);
  EXPECT_LT(report_.visual_max_difference, 2e-2);
  EXPECT_GE(report_.visual_greedy, 1);
  const auto compiled = Ask(directory_);
  ASSERT_TRUE(compiled.ok()) << compiled.status().ToString();
  const auto evaluated = Ask(RequestFor(GetParam()).model);
  ASSERT_TRUE(evaluated.ok()) << evaluated.status().ToString();
  if (compiled->prompt_ids.size() == evaluated->prompt_ids.size()) {
    EXPECT_EQ(compiled->token_ids, evaluated->token_ids);
  }
}

TEST_P(VisualCompile, TheDirectoryIsThePublishedTree) {
  ASSERT_NO_FATAL_FAILURE(Compile());
  std::vector<std::string> missing;
  const auto expect = [&](const std::string& name) {
    if (!fs::exists(directory_ / name)) {
      missing.push_back(name);
    }
  };
  const auto config = format::ReadJsonFile(directory_ / "visual/buffer_config.json");
  ASSERT_TRUE(config.ok());
  const std::string signature = (*config)["signature"];
  for (std::int64_t d = 0; d < GetParam().dies; ++d) {
    const std::string die = std::to_string(d);
    for (const char* const name :
         {"batch_1/common_dieD.params", "batch_1/constant_dieD_1.params",
          "batch_1/constant_dieD_8.params", "batch_1/seqlen_1/ckpt_llm_decode_dieD.json",
          "batch_1/seqlen_1/llm_decode_dieD.so", "batch_1/seqlen_1/llm_dieD.params",
          "batch_1/seqlen_8/ckpt_llm_dieD.json", "batch_1/seqlen_8/llm_decode_dieD.so",
          "batch_1/seqlen_8/llm_dieD.so", "batch_1/seqlen_8/llm_prefill_dieD.so",
          "mrope/3_128_[int32]_D.onnx", "mrope/3_128_[int32]_buffer_config_D.json",
          "mrope/3_128_[int32]_dieD.params", "mrope/3_128_[int32]_dieD.so",
          "visual/SIGNATURE_D.onnx", "visual/SIGNATURE_buffer_config_D.json",
          "visual/constant_dieD.params", "visual/vit_dieD.so"}) {
      std::string full = name;
      if (const auto at = full.find("SIGNATURE"); at != std::string::npos) {
        full.replace(at, 9, signature);
      }
      if (const auto at = full.find("dieD"); at != std::string::npos) {
        full.replace(at, 4, "die" + die);
      } else {
        full.replace(full.rfind("_D"), 2, "_" + die);
      }
      expect(full);
    }
  }
  for (const std::string& name :
       {std::string("buffer_config.json"), std::string("compute_rope_param.params"),
        std::string("compute_rope_param.so"), std::string("config.json"),
        std::string("embedding.params"), std::string("empty.bin"),
        std::string("mrope/3_128_[int32]_aot_config.json"),
        std::string("mrope/3_128_[int32]_buffer_config.json"),
        std::string("mrope/3_128_[int32]_graph.json"), "visual/" + signature + "_graph.json",
        "visual/" + signature + "_preset_kwargs.pt", std::string("visual/aot_config.json"),
        std::string("visual/buffer_config.json")}) {
    expect(name);
  }
  EXPECT_TRUE(missing.empty()) << ::testing::PrintToString(missing);
}

TEST_P(VisualCompile, GoldensHaveTheSameBytesOnEveryMachine) {
  ASSERT_NO_FATAL_FAILURE(Compile());
  EXPECT_EQ(DigestOfFile(directory_ / artifact::kVisualGoldenFile)->sha256.Hex(),
            GetParam().picture_digest);
  EXPECT_EQ(DigestOfFile(directory_ / artifact::kGoldenFile)->sha256.Hex(), GetParam().text_digest);
}

TEST_P(VisualCompile, TheGoldenHasTheSameBytesWithEveryInstructionSet) {
  ASSERT_NO_FATAL_FAILURE(Compile());
  const auto model = forward::OpenModel(RequestFor(GetParam()).model);
  const auto tower = forward::OpenTower(*model);
  const auto config = artifact::ReadVisualConfig(directory_);
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  const Path stored = directory_ / artifact::kVisualGoldenFile;
  const auto golden =
      simulator::ReadVisualGolden(stored, *config, tower->shape, model->shape().vocabulary);
  ASSERT_TRUE(golden.ok()) << golden.status().ToString();
  const Result<std::string> expected = LocalFileSystem().Read(stored);
  for (const tensor::MatrixProducts* const products : tensor::SteadyProducts()) {
    for (const int threads : {1, 3}) {
      tensor::CpuBackend backend(threads, tensor::BaselineLoops(), *products);
      simulator::VisualGolden again;
      again.item = golden->item;
      again.pixels = golden->pixels;
      again.tokens = golden->tokens;
      domain::NoProgress progress;
      ASSERT_TRUE(simulator::ComputeVisualGolden(*model, *tower, golden->logits.rows(),
                                                 std::ssize(golden->greedy), backend, progress,
                                                 again)
                      .ok());
      ASSERT_TRUE(simulator::WriteVisualGolden(LocalFileSystem(), folder_ / "again", again).ok());
      EXPECT_TRUE(*LocalFileSystem().Read(folder_ / "again") == *expected)
          << products->name << ", " << threads << " threads";
    }
  }
}

/// What a command prints; empty when it fails.
std::string OutputOf(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string text;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
    text += static_cast<char>(c);
  }
  return text;
}

TEST_P(VisualCompile, GraphsOfAllDiesGiveTheGoldenFeatures) {
  if (OutputOf("/usr/bin/python3 -c 'import onnx, numpy; print(1)' 2>/dev/null") != "1\n") {
    GTEST_SKIP() << "Python has not got onnx and numpy";
  }
  ASSERT_NO_FATAL_FAILURE(Compile());
  const auto config = format::ReadJsonFile(directory_ / "visual/buffer_config.json");
  ASSERT_TRUE(config.ok());
  const auto file = [&](const std::string& suffix) {
    return " '" + (directory_ / artifact::TowerFile((*config)["signature"], suffix)).string() + "'";
  };
  std::string command =
      "/usr/bin/python3 '" + (Path(tyllm::testing::kTestData) / "onnx/evaluate_tower.py").string() +
      "' '" + (directory_ / artifact::kVisualGoldenFile).string() + "'" + file("preset_kwargs.pt");
  for (std::int64_t die = 0; die < GetParam().dies; ++die) {
    command += file(std::to_string(die) + ".onnx");
  }
  const std::string output = OutputOf(command);
  const std::string label = "largest difference ";
  ASSERT_TRUE(output.starts_with(label)) << output;
  EXPECT_LT(std::stod(output.substr(label.size())), 1e-2) << output;
}

INSTANTIATE_TEST_SUITE_P(
    All, VisualCompile,
    ::testing::Values(Case{"tiny-qwen2-vl", domain::Modality::kImage, 2,
                           "3a02c0e0276ec01204ef5ac74f7ea86907870d0a674d440e86d96f44c9b0803d",
                           "bde4572aed029b3eabb852019e843463bdef6110b33d953e1585c8b3a347ca0c"},
                      Case{"tiny-qwen2.5-vl", domain::Modality::kImage, 1,
                           "5d95a8d97135d7d00899d412ba4f68090cd5d199371e0ddea72ccd3f768bd7cc",
                           "9cb104e8b43d397b6d577bbcf2825c1386acca8a52c6f77aa1253c1ee35fdd1d"},
                      Case{"tiny-qwen2.5-vl", domain::Modality::kVideo, 3,
                           "37f23595b72e47031be39b5cf498690320f2e4acb7b4886db12867207b3e3357",
                           "9cb104e8b43d397b6d577bbcf2825c1386acca8a52c6f77aa1253c1ee35fdd1d"},
                      Case{"tiny-qwen3-vl", domain::Modality::kImage, 4,
                           "355919db2055effff33a72e9eeb93cc46f6ac31a58d51a589707428cbe5b4c32",
                           "523a9260872d5ed4848e450e6aba799ae10b36fb4c46dec613db54c96916a997"},
                      Case{"tiny-qwen3-vl", domain::Modality::kVideo, 1,
                           "61df9f53b21aa42f6684fc9cbbf638100a1bb0618487a79544a2a757ca2969a8",
                           "523a9260872d5ed4848e450e6aba799ae10b36fb4c46dec613db54c96916a997"}),
    [](const auto& test) {
      std::string name = std::string(test.param.golden) +
                         (test.param.modality == domain::Modality::kVideo ? "Video" : "Image") +
                         std::to_string(test.param.dies);
      std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
      return name;
    });

class VisualArtifact : public ::testing::Test {
 protected:
  void SetUp() override {
    domain::NoProgress progress;
    const auto summary =
        Compile(LocalFileSystem(), RequestFor({"tiny-qwen2.5-vl", domain::Modality::kImage, 1}),
                folder_.path(), progress);
    ASSERT_TRUE(summary.ok()) << summary.status().ToString();
    directory_ = summary->directory;
  }

  Status Verify(bool check_files) {
    domain::NoProgress progress;
    simulator::VerifyRequest request;
    request.directory = directory_;
    request.check_files = check_files;
    return simulator::Verify(request, progress).status();
  }

  /// Changes bytes in the middle of a file.
  void Damage(const Path& relative) {
    std::fstream file(directory_ / relative, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(0, std::ios::end);
    const auto middle = static_cast<std::streamoff>(file.tellg()) / 2;
    file.seekp(middle);
    const std::string other(64, '\x5A');
    file.write(other.data(), static_cast<std::streamsize>(other.size()));
  }

  tyllm::testing::TemporaryDirectory folder_;
  Path directory_;
};

TEST_F(VisualArtifact, ADryRunTellsWhatTheTowerTakes) {
  const auto preparation =
      Preflight(RequestFor({"tiny-qwen2.5-vl", domain::Modality::kImage, 1}), NeedsCompiler::kNo);
  ASSERT_TRUE(preparation.ok()) << preparation.status().ToString();
  const auto report = Fit(*preparation, {}, 2, ObjectCache(LocalFileSystem(), {}));
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  const DieFit& die = report->die_list.front();
  EXPECT_EQ(die.tower_weight_bytes,
            std::filesystem::file_size(directory_ / artifact::TowerParams(0)));
  EXPECT_EQ(die.tower_arena_bytes, preparation->tower->schedules.front().arena_bytes);
  EXPECT_EQ(die.total_bytes, die.weight_bytes + die.constant_bytes + die.kv_bytes +
                                 die.arena_bytes + die.tower_weight_bytes + die.tower_arena_bytes);
}

TEST_F(VisualArtifact, ChangedBytesAreFoundByDigest) {
  ASSERT_TRUE(Verify(true).ok());
  Damage(artifact::TowerParams(0));
  EXPECT_EQ(Verify(true).code(), StatusCode::kDataLoss);
}

TEST_F(VisualArtifact, ChangedWeightsOfTheTowerAreFoundByRunningIt) {
  Damage(artifact::TowerParams(0));
  const Status status = Verify(false);
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("features"), std::string::npos) << status.message();
}

TEST_F(VisualArtifact, TakesImagesOnlyAndSaysSo) {
  simulator::RunRequest request;
  request.model.directory = directory_;
  request.token_ids = {1, 2, 3};
  request.media = {{folder_.path(), true, std::nullopt}};
  const Status status = simulator::RunModel(request, SystemClock()).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("compiled for images"), std::string::npos) << status.message();
}

TEST_F(VisualArtifact, AnImageOfAnotherSizeIsResizedOrRefusedAsChosen) {
  simulator::RunRequest request;
  request.model.directory = directory_;
  request.max_tokens = 1;
  request.token_ids = {508, 510, 509, 4};
  const Path other = Path(tyllm::testing::kTestData) / "goldens/tiny-qwen3-vl/image.png";
  request.media = {{other, false, std::nullopt}};
  EXPECT_TRUE(simulator::RunModel(request, SystemClock()).ok());
  request.model.exact_images = true;
  const Status status = simulator::RunModel(request, SystemClock()).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("compiled for 140 x 112"), std::string::npos) << status.message();
}

TEST_F(VisualArtifact, AnExportThatIsRefusedLeavesNothing) {
  domain::NoProgress progress;
  const auto refused = ExportOnnx(LocalFileSystem(), directory_, folder_ / "graphs", progress);
  EXPECT_EQ(refused.status().code(), StatusCode::kUnimplemented) << refused.status().ToString();
  EXPECT_FALSE(fs::exists(folder_ / "graphs"));
}

TEST_F(VisualArtifact, TextIsAnsweredWithoutAnImage) {
  simulator::RunRequest request;
  request.model.directory = directory_;
  request.max_tokens = 4;
  request.token_ids = {1, 2, 3};
  const auto compiled = simulator::RunModel(request, SystemClock());
  ASSERT_TRUE(compiled.ok()) << compiled.status().ToString();
  request.model.directory = Path(tyllm::testing::kTestData) / "goldens/tiny-qwen2.5-vl";
  const auto evaluated = simulator::RunModel(request, SystemClock());
  ASSERT_TRUE(evaluated.ok());
  EXPECT_EQ(compiled->token_ids, evaluated->token_ids);
}

TEST(VisualPreflight, NamesWhatIsMissing) {
  const tyllm::testing::TemporaryDirectory folder;
  CompileRequest request = RequestFor({"tiny-qwen2.5-vl", domain::Modality::kImage, 1});
  for (const fs::directory_entry& file : fs::directory_iterator(request.model)) {
    if (file.path().filename() != "preprocessor_config.json") {
      fs::copy_file(file.path(), folder / file.path().filename());
    }
  }
  request.model = folder.path();
  request.options.max_kv = 40;
  const Status status = Preflight(request, NeedsCompiler::kYes).status();
  EXPECT_NE(status.message().find("preprocessor_config.json"), std::string::npos)
      << status.message();
  request.options.visual.text_only = true;
  EXPECT_TRUE(Preflight(request, NeedsCompiler::kYes).ok());
}

TEST(VisualTokenizer, OneOfAFormThatIsNotReadIsPassedOn) {
  const tyllm::testing::TemporaryDirectory folder;
  CompileRequest request = RequestFor({"tiny-qwen2.5-vl", domain::Modality::kImage, 1});
  fs::copy(request.model, folder / "model", fs::copy_options::recursive);
  request.model = folder / "model";
  const std::string unread = R"({"normalizer": {"type": "BertNormalizer"},
    "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece"},
    "model": {"type": "WordPiece", "vocab": {}}})";
  std::ofstream(folder / "model" / "tokenizer.json") << unread;
  domain::NoProgress progress;
  const auto summary = Compile(LocalFileSystem(), request, folder / "out", progress);
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_EQ(*LocalFileSystem().Read(summary->directory / "tokenizer.json"), unread);
}

// A full disk ends the compilation when the towers are packed.
TEST(VisualResume, DamagedWeightsOfATowerAreNotPublished) {
  const tyllm::testing::TemporaryDirectory folder;
  const CompileRequest request = RequestFor({"tiny-qwen2.5-vl", domain::Modality::kImage, 1});
  domain::NoProgress progress;
  tyllm::testing::FaultyFileSystem counting(1 << 20);
  ASSERT_TRUE(Compile(counting, request, folder / "whole", progress).ok());
  // The last change without which it fails, when the towers lie in the folder already.
  const Path params = folder / "out" / "1die.partial" / artifact::TowerParams(0);
  for (auto left = counting.changes() - 1; !fs::exists(params); --left) {
    ASSERT_GT(left, 0);
    fs::remove_all(folder / "out");
    tyllm::testing::FaultyFileSystem full(left);
    static_cast<void>(Compile(full, request, folder / "out", progress));
  }
  std::string bytes = *LocalFileSystem().Read(params);
  bytes[bytes.size() / 2] ^= 0x10;
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), params, bytes).ok());
  const auto again = Compile(LocalFileSystem(), request, folder / "out", progress);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(testing::Contents(folder / "out"), testing::Contents(folder / "whole"));
}

TEST(VisualPreflight, AnImageThatDoesNotFitTheCacheIsRefused) {
  CompileRequest request = RequestFor({"tiny-qwen2.5-vl", domain::Modality::kImage, 1});
  request.options.max_kv = 64;
  const Status status = Preflight(request, NeedsCompiler::kYes).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("becomes 20 tokens"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace tyllm::compile
