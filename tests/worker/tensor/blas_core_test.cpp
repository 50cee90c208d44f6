// SPDX-License-Identifier: Apache-2.0
#include "worker/tensor/blas_core.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/worker/tensor/reference_ops.h"
#include "worker/tensor/backend.h"

namespace tyllm::tensor {
namespace {

TEST(BetterBlasCore, IsForProcessorsThatTheLibraryDoesNotKnow) {
  EXPECT_EQ(BetterBlasCore("Prescott", {.avx2 = true, .avx512 = true}), "SkylakeX");
  EXPECT_EQ(BetterBlasCore("Prescott", {.avx2 = true, .avx512 = false}), "Haswell");
  EXPECT_EQ(BetterBlasCore("Prescott", {}), "");
  for (const char* known : {"Nehalem", "Haswell", "Zen", "SkylakeX", "Cooperlake"}) {
    EXPECT_EQ(BetterBlasCore(known, {.avx2 = true, .avx512 = true}), "") << known;
  }
}

/// Other sets of kernels, and in the end the one from before.
class BlasCores : public ::testing::Test {
 protected:
  BlasCores() : backend_(MakeBackend("cpu", 2).value()), before_(BlasCore()) {
    const VectorInstructions processor = InstructionsOfThisProcessor();
    if (processor.avx2) {
      cores_.emplace_back("Haswell");
    }
    if (processor.avx512) {
      cores_.emplace_back("SkylakeX");
    }
  }

  ~BlasCores() override { UseBlasCore(before_); }

  BlasCores(const BlasCores&) = delete;
  BlasCores& operator=(const BlasCores&) = delete;

  std::unique_ptr<Backend> backend_;
  std::string before_;
  std::vector<std::string> cores_;
};

TEST_F(BlasCores, AreTakenByNameAndComputeTheSame) {
  if (!UseBlasCore("Prescott")) {
    GTEST_SKIP() << "this OpenBLAS has kernels for one processor: " << before_;
  }
  const Matrix x = testing::RandomMatrix(70, 300, 1);
  const Matrix w = testing::RandomMatrix(90, 300, 2);
  Matrix expected;
  backend_->Linear(x.view(), w.view(), {}, expected);
  for (const std::string& core : cores_) {
    ASSERT_TRUE(UseBlasCore(core)) << core;
    EXPECT_EQ(BlasCore(), core);
    Matrix out;
    backend_->Linear(x.view(), w.view(), {}, out);
    for (std::int64_t i = 0; i < out.rows() * out.columns(); ++i) {
      ASSERT_NEAR(out.data()[i], expected.data()[i], 1e-4) << core;
    }
  }
}

TEST_F(BlasCores, ThatNobodyKnowsChangeNothing) {
  EXPECT_FALSE(UseBlasCore("Edge10"));
  EXPECT_EQ(BlasCore(), before_);
}

TEST_F(BlasCores, OfThisProcessorAreUsed) {
  if (std::getenv("OPENBLAS_CORETYPE") != nullptr) {
    GTEST_SKIP() << "the environment names one";
  }
  EXPECT_EQ(BetterBlasCore(BlasCore(), InstructionsOfThisProcessor()), "");
}

}  // namespace
}  // namespace tyllm::tensor
