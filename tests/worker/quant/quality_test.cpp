// SPDX-License-Identifier: Apache-2.0
// The demo model, which was trained, on real text: what quantization is for.
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "worker/evaluate/evaluate.h"
#include "worker/quant/convert.h"
#include "worker/quant/quantize.h"

namespace tyllm::quant {
namespace {

const Path kSource = testing::kSourceFolder;
const Path kDemo = kSource / "examples" / "models" / "demo-qwen3-4m";

double Perplexity(const Path& model) {
  domain::NoProgress progress;
  evaluate::Request request;
  request.model = model;
  request.text = kSource / "data" / "wikitext-2" / "test.txt";
  request.options.max_windows = 12;
  const auto report = evaluate::Evaluate(request, LocalFileSystem(), SystemClock(), progress);
  EXPECT_TRUE(report.ok()) << report.status().ToString();
  return report.ok() ? *report->model.perplexity : 0.0;
}

void QuantizeDemo(domain::QuantizeMethod method, const Path& out) {
  domain::NoProgress progress;
  QuantizeRequest request;
  request.model = kDemo;
  request.out = out;
  request.calibration_text = kSource / "data" / "wikitext-2" / "valid.txt";
  request.options.method = method;
  request.options.samples = 32;
  request.options.seq_len = 128;
  const auto report = Quantize(request, progress);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
}

// Even with a sixteenth of the usual calibration, AWQ gives back a good part of what rounding
// loses.
TEST(DemoModel, PredictsTextBetterAfterAwqThanAfterRounding) {
  testing::TemporaryDirectory folder;
  QuantizeDemo(domain::QuantizeMethod::kRtn, folder / "rtn");
  QuantizeDemo(domain::QuantizeMethod::kAwq, folder / "amtc");
  domain::NoProgress progress;
  const auto converted = Convert({folder / "amtc", folder / "awq", {}}, progress);
  ASSERT_TRUE(converted.ok()) << converted.status().ToString();
  const double exact = Perplexity(kDemo);
  const double rounded = Perplexity(folder / "rtn");
  const double awq = Perplexity(folder / "awq");
  EXPECT_LT(exact, awq);
  EXPECT_LT(awq - exact, (rounded - exact) * 0.8)
      << exact << " in float, " << rounded << " rounded, " << awq << " after AWQ";
}

}  // namespace
}  // namespace tyllm::quant
