// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/worker/tensor/reference_ops.h"

namespace tyllm::tensor {
namespace {

using testing::RandomMatrix;

/// All that a back end with `threads` threads computes, one number after another.
std::vector<float> Everything(int threads) {
  auto backend = *MakeBackend("cpu", threads);
  std::vector<float> all;
  const auto keep = [&](const Matrix& m) {
    all.insert(all.end(), m.data(), m.data() + m.rows() * m.columns());
  };
  const Matrix x = RandomMatrix(700, 130, 1);
  const Matrix w = RandomMatrix(1100, 130, 2);
  const Matrix weight = RandomMatrix(1, 130, 3);
  Matrix out;
  backend->Linear(x.view(), w.view(), {}, out);
  keep(out);
  backend->Linear(x.rows(0, 1), w.view(), {}, out);
  keep(out);
  Matrix gram(130, 130);
  backend->AccumulateGram(x.view(), gram);
  keep(gram);
  backend->RmsNorm(x.view(), weight.row(0), 1e-6F, out);
  keep(out);
  const Matrix k = RandomMatrix(700, 65, 4);
  backend->Attention(
      {.sequences = 2, .length = 350, .history = 0, .heads = 10, .kv_heads = 5, .head_size = 13},
      x.view(), k.view(), k.view(), out);
  keep(out);
  std::vector<double> sums(700);
  backend->LogSumExp(x.view(), sums);
  all.insert(all.end(), sums.begin(), sums.end());
  return all;
}

TEST(CpuBackend, ResultsDoNotDependOnTheNumberOfThreads) {
  const std::vector<float> one = Everything(1);
  for (const int threads : {2, 3, 7}) {
    EXPECT_TRUE(Everything(threads) == one) << threads << " threads";
  }
}

TEST(CpuBackend, ResultsAreTheSameEachTime) {
  const std::vector<float> first = Everything(3);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Everything(3) == first);
  }
}

}  // namespace
}  // namespace tyllm::tensor
