// SPDX-License-Identifier: Apache-2.0
// Prompts with images and videos through the whole path from files on.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "common/format/safetensors.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "worker/evaluate/dump.h"
#include "worker/evaluate/generate.h"

namespace tyllm::evaluate {
namespace {

Path GoldenOf(const std::string& name) {
  return Path(testing::kTestData) / "goldens" / name;
}

class VisualPrompts : public ::testing::TestWithParam<const char*> {
 protected:
  /// The golden's tokens with one that stands for the whole image.
  static std::vector<std::int64_t> Placeholder() { return {7, 8, 9, 10, 508, 510, 509, 11, 12}; }

  Result<Generation> GenerateWith(const GenerateRequest& request) {
    domain::NoProgress progress;
    return Generate(request, SystemClock(), progress);
  }

  std::vector<float> Logits(const std::vector<std::int64_t>& ids,
                            const std::vector<vision::Medium>& media) {
    const Path file = folder_ / "dump.safetensors";
    const Status status = Dump(
        {.model = model_, .ids = ids, .media = media, .file = file, .device = "cpu", .threads = 1},
        LocalFileSystem());
    EXPECT_TRUE(status.ok()) << status.ToString();
    const auto dump = format::SafetensorsFile::Open(file);
    return *format::ToFloats("logits", dump->tensors().at("logits"));
  }

  tyllm::testing::TemporaryDirectory folder_;
  Path model_ = GoldenOf(GetParam());
  std::vector<vision::Medium> image_{{model_ / "image.png", false, std::nullopt}};
};

INSTANTIATE_TEST_SUITE_P(All, VisualPrompts,
                         ::testing::Values("tiny-qwen2-vl", "tiny-qwen2.5-vl", "tiny-qwen3-vl"),
                         [](const auto& test) {
                           std::string name(test.param);
                           std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
                           return name;
                         });

TEST_P(VisualPrompts, AnImageFileGivesTheLogitsOfTransformers) {
  const auto golden = format::SafetensorsFile::Open(model_ / "golden.safetensors");
  std::vector<std::int32_t> ids(26);
  std::memcpy(ids.data(), golden->tensors().at("image.input_ids").bytes.data(), 26 * 4);
  const auto expected = *format::ToFloats("logits", golden->tensors().at("image.logits"));
  const auto logits = Logits({ids.begin(), ids.end()}, image_);
  ASSERT_EQ(logits.size(), expected.size());
  float largest = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    largest = std::max(largest, std::abs(logits[i] - expected[i]));
  }
  EXPECT_LT(largest, 5e-2F);  // the goldens' rotary frequencies have 16 bits
}

TEST_P(VisualPrompts, TokenByTokenIsTheSameAsAllAtOnce) {
  const auto generation = GenerateWith({.model = model_,
                                        .ids = Placeholder(),
                                        .media = image_,
                                        .max_tokens = 6,
                                        .stop = false,
                                        .device = "cpu"});
  ASSERT_TRUE(generation.ok()) << generation.status().ToString();
  EXPECT_EQ(generation->prompt_ids.size(), 23U);  // 15 tokens of the image
  std::vector<std::int64_t> all(generation->prompt_ids.begin(), generation->prompt_ids.end());
  all.insert(all.end(), generation->token_ids.begin(), generation->token_ids.end());
  const std::vector<float> logits = Logits(all, image_);
  for (std::size_t i = 0; i < 6; ++i) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>((22 + i) * 512);
    EXPECT_EQ(std::max_element(row, row + 512) - row, generation->token_ids[i]) << i;
  }
}

TEST_P(VisualPrompts, ImagesThatDoNotMatchTheTextAreRefused) {
  for (const std::vector<std::int64_t>& ids :
       {std::vector<std::int64_t>{7, 8, 9}, {508, 510, 510, 509}, {511, 7}}) {
    const auto generation =
        GenerateWith({.model = model_, .ids = ids, .media = image_, .device = "cpu"});
    EXPECT_EQ(generation.status().code(), StatusCode::kInvalidArgument);
  }
  const vision::Medium missing{folder_ / "no.png", false, std::nullopt};
  EXPECT_EQ(
      GenerateWith({.model = model_, .ids = Placeholder(), .media = {missing}, .device = "cpu"})
          .status()
          .code(),
      StatusCode::kNotFound);
}

TEST_P(VisualPrompts, AFolderOfFramesIsAVideo) {
  for (int i = 0; i < 4; ++i) {
    std::filesystem::copy_file(model_ / "image.png", folder_ / (std::to_string(i) + ".png"));
  }
  std::vector<std::int64_t> ids{7, 508, 511, 509, 9};
  if (std::string(GetParam()) == "tiny-qwen3-vl") {
    ids = {7, 508, 511, 509, 8, 508, 511, 509, 9};  // two grids, each a run of its own
  }
  const auto generation = GenerateWith({.model = model_,
                                        .ids = ids,
                                        .media = {{folder_.path(), true, std::nullopt}},
                                        .max_tokens = 3,
                                        .stop = false,
                                        .device = "cpu"});
  ASSERT_TRUE(generation.ok()) << generation.status().ToString();
  EXPECT_EQ(std::ranges::count(generation->prompt_ids, 511), 30);
}

TEST(VisualPromptOfTextModels, ImagesAreRefused) {
  domain::NoProgress progress;
  const Path image = GoldenOf("tiny-qwen2-vl") / "image.png";
  const auto generation = Generate({.model = GoldenOf("tiny-qwen3"),
                                    .ids = {1, 2},
                                    .media = {{image, false, std::nullopt}},
                                    .device = "cpu"},
                                   SystemClock(), progress);
  EXPECT_EQ(generation.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(generation.status().message().find("takes no images"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::evaluate
