// SPDX-License-Identifier: Apache-2.0
// What a quantization has in memory, pages of mapped files included, against what it told before.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/support/temporary_directory.h"
#include "tests/worker/quant/made_model.h"
#include "worker/quant/quantization_memory.h"
#include "worker/quant/quantize.h"
#include "worker/quant/synthesize.h"
#include "worker/tensor/backend.h"

namespace tyllm::quant {
namespace {

/// What the C library keeps of freed memory; most blocks of this small model are in its heap.
constexpr std::int64_t kSlack = 24'000'000;
constexpr int kThreads = 2;

/// What this process may grow by: what was told, without the program itself.
std::int64_t MayGrowBy(std::int64_t told) {
  constexpr std::int64_t kNoThreads = 0;
  const std::int64_t program =
      QuantizationMemory({}, {.method = domain::QuantizeMethod::kRtn}, kNoThreads);
  return told - program + kSlack;
}

/// Random weights: 4.7 MB a layer in the file, 61 MB the embedding and as much the head.
QuantizeRequest MakeModel(std::int64_t layers, const Path& folder) {
  model::PublishedModel model{"made", FindPublishedModel("Qwen3-0.6B")->shape};
  model.shape.width = 512;
  model.shape.heads = 4;
  model.shape.kv_heads = 2;
  model.shape.intermediate = 1536;
  model.shape.vocabulary = 60000;
  model.shape.tied_head = false;
  domain::NoProgress progress;
  QuantizeRequest request;
  request.model = folder / "model";
  request.out = folder / "out";
  request.calibration_text = folder / "text.txt";
  request.threads = kThreads;
  const auto made = Synthesize({.model = model, .out = request.model, .layers = layers}, progress);
  if (!made.ok()) {
    std::cerr << made.status().ToString() << "\n";
    std::exit(EXIT_FAILURE);
  }
  return request;
}

/// Ends the process: successfully when it took no more memory than it told.
[[noreturn]] void QuantizeAndExit(std::int64_t layers, domain::QuantizeMethod method,
                                  const std::string& device) {
  int code = EXIT_FAILURE;
  {
    const testing::TemporaryDirectory folder;
    QuantizeRequest request = MakeModel(layers, folder.path());
    request.device = device;
    request.options.method = method;
    request.options.samples = 16;  // two batches
    testing::internal::WriteText(request.calibration_text, testing::MadeText(100'000));
    domain::NoProgress progress;
    const std::int64_t before = PeakMemoryBytes();
    const auto report = Quantize(request, progress);
    if (report.ok()) {
      const std::int64_t grown = report->run.peak_memory_bytes - before;
      const std::int64_t limit = MayGrowBy(report->run.memory_needed_bytes);
      std::cerr << "grew by " << grown << " bytes, told " << limit << "\n";
      code = grown <= limit ? EXIT_SUCCESS : EXIT_FAILURE;
    } else {
      std::cerr << report.status().ToString() << "\n";
    }
  }
  std::exit(code);
}

/// Where it is computed: "cpu" or "cuda:0".
class ResidentMemory : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // a fresh process
    if (const auto made = tensor::MakeBackend(GetParam()); !made.ok()) {
      GTEST_SKIP() << made.status().message();
    }
  }
};

TEST_P(ResidentMemory, OfRoundingIsWhatWasToldWhateverTheFilesHold) {
  EXPECT_EXIT(QuantizeAndExit(24, domain::QuantizeMethod::kRtn, GetParam()),
              ::testing::ExitedWithCode(EXIT_SUCCESS), "");
}

TEST_P(ResidentMemory, OfCalibrationAndCompensationIsWhatWasTold) {
  EXPECT_EXIT(QuantizeAndExit(2, domain::QuantizeMethod::kAwqGptq, GetParam()),
              ::testing::ExitedWithCode(EXIT_SUCCESS), "");
}

INSTANTIATE_TEST_SUITE_P(Devices, ResidentMemory, ::testing::Values("cpu", "cuda:0"),
                         [](const auto& device) {
                           return std::string(device.param == "cpu" ? "cpu" : "cuda");
                         });

}  // namespace
}  // namespace tyllm::quant
