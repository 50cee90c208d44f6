// SPDX-License-Identifier: Apache-2.0
// What is left of a quantization that ended early, and what the next run makes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/faulty_file_system.h"
#include "tests/support/power_cut_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/made_model.h"
#include "worker/quant/quantize.h"

namespace tyllm::quant {
namespace {

class NoProgress final : public domain::ProgressSink {
 public:
  void Report(const domain::Progress&) override {}
};

/// With one weight file, and with one for each layer.
class Resuming : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  void SetUp() override {
    testing::internal::WriteText(folder_ / "text.txt", testing::MadeText(4000));
    testing::WriteModel(testing::SmallModel(), folder_ / "model");
    request_.model = folder_ / "model";
    request_.out = folder_ / "out";
    request_.calibration_text = folder_ / "text.txt";
    request_.options.group_size = 32;
    request_.options.samples = 2;
    request_.options.seq_len = 32;
    request_.threads = 2;
    request_.single_file_bytes = GetParam();
  }

  Result<QuantizationReport> Run(FileSystem& files = LocalFileSystem()) {
    return Quantize(request_, progress_, {files, SystemClock()});
  }

  std::map<std::string, std::string> UninterruptedFiles() {
    const Path out = std::exchange(request_.out, folder_ / "uninterrupted");
    EXPECT_TRUE(Run().ok());
    return testing::FilesOf(std::exchange(request_.out, out));
  }

  void ExpectTheFiles(const std::map<std::string, std::string>& expected) {
    const auto files = testing::FilesOf(request_.out);
    EXPECT_EQ(files.size(), expected.size());
    for (const auto& [name, content] : expected) {
      const auto found = files.find(name);
      EXPECT_TRUE(found != files.end() && found->second == content) << name;
    }
    EXPECT_FALSE(std::filesystem::exists(Partial()));
    std::filesystem::remove_all(request_.out);
  }

  Path Partial() const { return folder_ / "out.partial"; }

  /// Ends after the first `layers` layers are on the disk.
  void RunUntilLayers(int layers) {
    const Path record =
        Partial() / "unfinished_parts" / ("0000" + std::to_string(layers + 1) + ".json");
    for (int healthy = 1; !std::filesystem::exists(record); ++healthy) {
      std::filesystem::remove_all(Partial());
      testing::FaultyFileSystem files(healthy);
      ASSERT_FALSE(Run(files).ok());
    }
  }

  /// The last byte of a finished layer, counted from 1.
  void Damage(int layer) {
    const std::string number = "0000" + std::to_string(layer + 1);
    const Path path = GetParam() == 0 ? Partial() / ("model-" + number + "-of-00004.safetensors")
                                      : Partial() / "unfinished_parts" / (number + ".safetensors");
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    ASSERT_TRUE(file.is_open());
    file.seekp(-1, std::ios::end);
    file.put('\x55');
  }

  testing::TemporaryDirectory folder_;
  QuantizeRequest request_;
  NoProgress progress_;
};

TEST_P(Resuming, AfterAFailureAtAnyChangeOfTheDiskGivesTheSameBytes) {
  const auto expected = UninterruptedFiles();
  int failures = 0;
  bool failed = true;
  for (int healthy = 0; failed; healthy += 7) {
    testing::FaultyFileSystem full(healthy);
    failed = !Run(full).ok();
    // What failed after the folder got its name left it complete.
    if (failed && !std::filesystem::exists(request_.out)) {
      ++failures;
      const auto report = Run();
      ASSERT_TRUE(report.ok()) << healthy << ": " << report.status().ToString();
    }
    ExpectTheFiles(expected);
  }
  EXPECT_GT(failures, 10);
}

TEST_P(Resuming, WhatFailsWhileTheFolderGetsItsNameCostsNoLayer) {
  const auto expected = UninterruptedFiles();
  testing::FaultyFileSystem counting(1'000'000);
  ASSERT_TRUE(Run(counting).ok());
  ExpectTheFiles(expected);
  // Writing in the background changes the order of changes, not their number.
  for (const int last : {2, 3, 4, 5, 6}) {
    testing::FaultyFileSystem files(counting.changes() - last,
                                    testing::FaultyFileSystem::Fault::kOnce);
    ASSERT_FALSE(Run(files).ok()) << last;
    ASSERT_FALSE(std::filesystem::exists(request_.out)) << last;
    const auto report = Run();
    ASSERT_TRUE(report.ok()) << last << ": " << report.status().ToString();
    EXPECT_EQ(report->run.layers_resumed, 2) << last;
    ExpectTheFiles(expected);
  }
}

TEST_P(Resuming, AfterALossOfPowerGivesTheSameBytes) {
  const auto expected = UninterruptedFiles();
  bool failed = true;
  for (int healthy = 1; failed; healthy += 11) {
    testing::PowerCutFileSystem disk(healthy);
    failed = !Run(disk).ok();
    disk.LosePower();
    if (failed && !std::filesystem::exists(request_.out)) {
      const auto report = Run();
      ASSERT_TRUE(report.ok()) << healthy << ": " << report.status().ToString();
    }
    ExpectTheFiles(expected);
  }
}

TEST_P(Resuming, GoesOnAfterTheLastFinishedLayer) {
  const auto expected = UninterruptedFiles();
  RunUntilLayers(1);
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->run.layers_resumed, 1);
  EXPECT_EQ(report->linears.size(), 14U);
  ExpectTheFiles(expected);
}

TEST_P(Resuming, MakesADamagedLayerAgain) {
  const auto expected = UninterruptedFiles();
  RunUntilLayers(1);
  Damage(1);
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->run.layers_resumed, 0);
  ExpectTheFiles(expected);
}

TEST_P(Resuming, MakesADamagedLayerAndThoseBehindItAgain) {
  for (const auto method : {domain::QuantizeMethod::kAwqGptq, domain::QuantizeMethod::kRtn}) {
    request_.options.method = method;
    const auto expected = UninterruptedFiles();
    RunUntilLayers(2);
    Damage(1);
    const auto report = Run();
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_EQ(report->run.layers_resumed, 0);
    ExpectTheFiles(expected);
    std::filesystem::remove_all(folder_ / "uninterrupted");
  }
}

TEST_P(Resuming, StartsAnewWhenSomethingElseIsAskedFor) {
  for (const auto& change : std::vector<std::function<void()>>{
           [this] { request_.options.samples = 3; }, [this] { request_.options.clip = false; },
           [this] {
             testing::internal::WriteText(folder_ / "text.txt", testing::MadeText(5000).substr(7));
           },
           [this] {
             testing::ModelDirectory model = testing::SmallModel();
             model.tensors["model.norm.weight"].bytes[0] ^= std::byte{1};
             testing::WriteModel(model, request_.model);
           }}) {
    RunUntilLayers(1);
    change();
    const auto report = Run();
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_EQ(report->run.layers_resumed, 0);
    std::filesystem::remove_all(request_.out);
  }
}

TEST_P(Resuming, GoesOnWithWhatTheQuantizedLayersMade) {
  request_.options.samples = 160;
  request_.options.seq_len = 64;  // three batches, of which all are followed
  testing::internal::WriteText(folder_ / "text.txt", testing::MadeText(16000));
  const auto expected = UninterruptedFiles();
  RunUntilLayers(1);
  const auto resumed = Run();
  ASSERT_TRUE(resumed.ok()) << resumed.status().message();
  EXPECT_EQ(resumed->run.layers_resumed, 1);
  const auto corrected = std::ranges::count_if(
      resumed->linears, [](const LinearReport& linear) { return linear.correction > 0.0; });
  EXPECT_GT(corrected, 0);
  ExpectTheFiles(expected);
}

INSTANTIATE_TEST_SUITE_P(AsOneFileAndByLayer, Resuming,
                         ::testing::Values(kSingleFileBytes, std::uint64_t{0}),
                         [](const auto& test) { return test.param == 0 ? "ByLayer" : "OneFile"; });

}  // namespace
}  // namespace tyllm::quant
