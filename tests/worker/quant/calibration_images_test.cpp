// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_images.h"

#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>

#include "tests/support/seeing_model.h"
#include "tests/support/temporary_directory.h"
#include "worker/quant/quantize.h"

namespace tyllm::quant {
namespace {

class CalibrationImages : public ::testing::TestWithParam<const char*> {
 protected:
  CalibrationImages() {
    tyllm::testing::MakeSeeingModel(GetParam(), folder_ / "model");
    std::filesystem::copy_file(
        Path(tyllm::testing::kTestData) / "goldens" / GetParam() / "image.png", folder_ / "a.png");
  }

  Result<ImageCalibration> Prepare(const std::string& lines, std::int64_t seq_len) {
    std::ofstream(folder_ / "pairs.jsonl") << lines;
    const auto model = *forward::OpenModel(folder_ / "model");
    const auto backend = *tensor::MakeBackend("cpu", 1);
    return PrepareImagePairs(model, *backend, *format::ReadImagePairs(folder_ / "pairs.jsonl", 100),
                             seq_len, {});
  }

  tyllm::testing::TemporaryDirectory folder_;
};

INSTANTIATE_TEST_SUITE_P(All, CalibrationImages,
                         ::testing::Values("tiny-qwen2.5-vl", "tiny-qwen3-vl"),
                         [](const auto& test) {
                           std::string name(test.param);
                           std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
                           return name;
                         });

TEST_P(CalibrationImages, PairsBecomeSequencesWithTheirImages) {
  const auto made = Prepare(R"({"image": "a.png", "text": "hello"}
{"text": "hello world"}
{"image": "a.png", "conversations": [{"from": "human", "value": "<image>he"}, {"from": "gpt", "value": "he"}]}
)",
                            64);
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  ASSERT_EQ(made->batches.size(), 3U);
  EXPECT_EQ(made->images, 2);
  EXPECT_EQ(made->image_tokens, 30);
  EXPECT_EQ(made->left_out, 0);
  const forward::TokenBatch& caption = made->batches[0];
  EXPECT_EQ(caption.ids.front(), 508);
  EXPECT_EQ(caption.ids[16], 509);
  EXPECT_EQ(caption.visual->rows.front(), 1);
  EXPECT_EQ(caption.visual->tokens.rows(), 15);
  EXPECT_TRUE(made->batches[1].visual->rows.empty());
  EXPECT_EQ(made->batches[2].ids.front(), 400);  // in the chat format
}

TEST_P(CalibrationImages, TextIsCutAndImagesAreNot) {
  const std::string line = R"({"image": "a.png", "text": "hello hello hello"})";
  const auto cut = Prepare(line, 20);
  ASSERT_TRUE(cut.ok()) << cut.status().ToString();
  EXPECT_EQ(cut->batches[0].length, 20);
  const auto none = Prepare(line, 12);
  EXPECT_EQ(none.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(none.status().message().find("--seq-len"), std::string::npos);
}

TEST_P(CalibrationImages, TheReportTellsWhatImagesContributeAsTheyAreWeighed) {
  std::ofstream(folder_ / "pairs.jsonl") << R"({"image": "a.png", "text": "hello world"})" << "\n"
                                         << R"({"text": "hello hello hello hello"})" << "\n";
  double share = 0.0;
  for (const double weight : {1.0, 4.0, 0.0}) {
    QuantizeRequest request;
    request.model = folder_ / "model";
    request.out = folder_ / ("out" + std::to_string(static_cast<int>(weight)));
    request.calibration_text = folder_ / "pairs.jsonl";
    request.options.group_size = 32;
    request.options.samples = 2;
    request.options.seq_len = 64;
    request.options.calibration.image_weight = weight;
    domain::NoProgress progress;
    const auto report = Quantize(request, progress);
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_EQ(report->calibration->images, 1);
    EXPECT_EQ(report->calibration->image_tokens, 15);
    EXPECT_GT(report->calibration->tokens, 30);
    if (weight == 0.0) {
      EXPECT_EQ(report->calibration->image_share, 0.0);
    } else {
      EXPECT_GT(report->calibration->image_share, share);
      EXPECT_LT(report->calibration->image_share, 1.0);
      EXPECT_GT(report->linears.front().image_share, 0.0);
    }
    share = report->calibration->image_share;
    EXPECT_NE(ReportText(*report).find("1 images; 15 of "), std::string::npos)
        << ReportText(*report);
  }
}

TEST_P(CalibrationImages, AMissingImageNamesTheSample) {
  const auto made = Prepare(R"({"image": "no.png", "text": "x"})", 64);
  EXPECT_EQ(made.status().code(), StatusCode::kNotFound);
  EXPECT_NE(made.status().message().find("sample 1"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::quant
