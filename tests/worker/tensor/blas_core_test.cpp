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

class BlasCores : public ::testing::Test {
 protected:
  ~BlasCores() override { Use(before_); }

  static bool Use(const std::string& core) {
    ::unsetenv("OPENBLAS_CORETYPE");
    return PreferBlasCore(core);
  }

  const bool named_ = std::getenv("OPENBLAS_CORETYPE") != nullptr;  ///< by who started this
  /// Makes OpenBLAS ready.
  std::unique_ptr<Backend> backend_ = MakeBackend("cpu", 2).value();
  std::string before_ = BlasCore();
};

TEST_F(BlasCores, OfThisProcessorAreUsed) {
  if (named_) {
    GTEST_SKIP() << "the environment names one";
  }
  EXPECT_EQ(BetterBlasCore(BlasCore(), InstructionsOfThisProcessor()), "");
}

TEST_F(BlasCores, AreTakenByNameAndComputeTheSame) {
  if (!Use("Prescott")) {
    GTEST_SKIP() << "this OpenBLAS has kernels for one processor: " << before_;
  }
  std::vector<std::string> cores;
  const VectorInstructions processor = InstructionsOfThisProcessor();
  if (processor.avx2) {
    cores.emplace_back("Haswell");
  }
  if (processor.avx512) {
    cores.emplace_back("SkylakeX");
  }
  const Matrix x = testing::RandomMatrix(70, 300, 1);
  const Matrix w = testing::RandomMatrix(90, 300, 2);
  Matrix expected;
  backend_->Linear(x.view(), w.view(), {}, expected);
  for (const std::string& core : cores) {
    ASSERT_TRUE(Use(core)) << core;
    Matrix out;
    backend_->Linear(x.view(), w.view(), {}, out);
    for (std::int64_t i = 0; i < out.rows() * out.columns(); ++i) {
      ASSERT_NEAR(out.data()[i], expected.data()[i], 1e-4) << core;
    }
  }
}

TEST_F(BlasCores, ThatTheEnvironmentNamesGoBefore) {
  if (!Use("Prescott")) {
    GTEST_SKIP() << "this OpenBLAS has kernels for one processor: " << before_;
  }
  EXPECT_FALSE(PreferBlasCore("Haswell"));
  EXPECT_EQ(BlasCore(), "Prescott");
}

}  // namespace
}  // namespace tyllm::tensor
