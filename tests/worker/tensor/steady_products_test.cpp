// SPDX-License-Identifier: Apache-2.0
// The same bits with every instruction set that this processor has, with any number of threads, and
// on another processor.
#include "worker/tensor/steady_products.h"

#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>

#include "common/base/child_process.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/tensor/reference_ops.h"
#include "tests/worker/tensor/steady_digest.h"

namespace tyllm::tensor {
namespace {

using testing::kSteadyDigest;
using testing::RandomMatrix;
using testing::SteadyDigest;

class SteadySets : public ::testing::TestWithParam<const MatrixProducts*> {};

/// As the header says it: fused multiply-adds, 256 to a run.
float SumOf(const float* a, const float* b, std::int64_t depth) {
  float total = 0;
  for (std::int64_t first = 0; first < depth; first += 256) {
    float sum = 0;
    for (std::int64_t k = first; k < std::min(depth, first + 256); ++k) {
      sum = std::fma(a[k], b[k], sum);
    }
    total = first == 0 ? sum : total + sum;
  }
  return total;
}

TEST_P(SteadySets, EveryShapeGivesTheSumsThatAreDefined) {
  for (const std::int64_t depth : {1, 3, 255, 256, 257, 600}) {
    for (const std::int64_t rows : {1, 5, 6, 7, 12, 25, 129}) {
      for (const std::int64_t columns : {1, 15, 16, 17, 40}) {
        const Matrix a = RandomMatrix(rows, depth, 1);
        const Matrix b = RandomMatrix(columns, depth, 2);
        // One column more, that is not to be touched.
        std::vector<float> out(static_cast<std::size_t>(rows * (columns + 1)), 7.0F);
        GetParam()->multiply_transposed({rows, columns, depth}, {a.data(), depth},
                                        {b.data(), depth}, 1.0F, 0.0F, out.data(), columns + 1);
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t c = 0; c <= columns; ++c) {
            const float expected =
                c < columns ? SumOf(a.row(r).data(), b.row(c).data(), depth) : 7.0F;
            ASSERT_EQ(out[static_cast<std::size_t>(r * (columns + 1) + c)], expected)
                << rows << " x " << columns << " x " << depth << " at " << r << ", " << c;
          }
        }
      }
    }
  }
}

/// Sums that cancel, of large and of subnormal numbers: where an emulation would go wrong.
TEST_P(SteadySets, EveryMultiplyAddIsRoundedOnce) {
  const Matrix mantissas = RandomMatrix(3, 40000, 5);
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < 40000; ++i) {
    state = state * 1664525U + 1013904223U;
    const float a = std::ldexp(mantissas.row(0)[static_cast<std::size_t>(i)],
                               static_cast<int>(state >> 25U) - 64);
    const float b = std::ldexp(mantissas.row(1)[static_cast<std::size_t>(i)],
                               static_cast<int>((state >> 18U) & 127U) - 64);
    const float near = a * b * (1.0F + 0x1p-20F * mantissas.row(2)[static_cast<std::size_t>(i)]);
    const float start = i % 3 == 0 ? std::ldexp(near, static_cast<int>(state % 60) - 30) : -near;
    const float x[2] = {start, a};
    const float y[2] = {1.0F, b};
    float out = 0;
    GetParam()->multiply_transposed({1, 1, 2}, {x, 2}, {y, 2}, 1.0F, 0.0F, &out, 1);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(out + 0.0F),
              std::bit_cast<std::uint32_t>(std::fma(a, b, start) + 0.0F))
        << a << " * " << b << " + " << start;
  }
}

TEST_P(SteadySets, NotANumberIsNotLost) {
  std::vector<float> x(300, 1.0F);
  x[270] = std::nanf("");
  float out = 0;
  GetParam()->multiply_transposed({1, 1, 300}, {x.data(), 300}, {x.data(), 300}, 1.0F, 0.0F, &out,
                                  1);
  EXPECT_TRUE(std::isnan(out));
  x[270] = INFINITY;
  GetParam()->multiply_transposed({1, 1, 300}, {x.data(), 300}, {x.data(), 300}, 1.0F, 0.0F, &out,
                                  1);
  EXPECT_EQ(out, INFINITY);
}

TEST_P(SteadySets, EveryOperationGivesTheKnownBitsWithAnyNumberOfThreads) {
  for (const int threads : {1, 2, 5}) {
    CpuBackend backend(threads, BaselineLoops(), *GetParam());
    EXPECT_EQ(SteadyDigest(backend).Take(), kSteadyDigest) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, SteadySets, ::testing::ValuesIn(SteadyProducts()),
                         [](const auto& instance) { return std::string(instance.param->name); });

TEST(SteadyProducts, GiveTheSameBitsOnArm) {
  constexpr const char* kCompiler = "aarch64-linux-gnu-g++";
  constexpr const char* kQemu = "qemu-aarch64";
  constexpr std::chrono::minutes kLimit{5};
  for (const char* const program : {kCompiler, kQemu}) {
    const auto outcome = RunCommand({{program, "--version"}, {}, {}, {}}, kLimit);
    if (!outcome.ok() || !outcome->exit.ok()) {
      GTEST_SKIP() << "needs the packages g++-aarch64-linux-gnu and qemu-user "
                      "(scripts/install-deps cross)";
    }
  }
  const tyllm::testing::TemporaryDirectory folder;
  const Path source(tyllm::testing::kSourceFolder);
  const std::string program = (folder / "print_digest").string();
  std::vector<std::string> build = {
      kCompiler, "-std=c++20", "-O2", "-ffp-contract=off", "-I" + source.string(), "-o", program};
  for (const char* const file :
       {"tests/worker/tensor/objects/print_digest.cpp", "worker/tensor/cpu_attention.cpp",
        "worker/tensor/cpu_backend.cpp", "worker/tensor/cpu_products.cpp",
        "worker/tensor/cpu_tower_ops.cpp", "worker/tensor/steady_products.cpp",
        "worker/tensor/steady_products_baseline.cpp", "worker/tensor/task_lanes.cpp",
        "worker/tensor/vector_loops_baseline.cpp", "common/base/parallel.cpp",
        "common/base/portable_math.cpp", "common/base/status.cpp"}) {
    build.push_back((source / file).string());
  }
  build.push_back("-pthread");
  const auto built = RunCommand({build, {}, {}, {}}, kLimit);
  ASSERT_TRUE(built.ok()) << built.status().ToString();
  ASSERT_TRUE(built->exit.ok()) << built->output;
  const auto outcome =
      RunCommand({{kQemu, "-L", "/usr/aarch64-linux-gnu", program}, {}, {}, {}}, kLimit);
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  ASSERT_TRUE(outcome->exit.ok()) << outcome->output;
  std::uint64_t digest = 0;
  const std::string& text = outcome->output;
  std::from_chars(text.data(), text.data() + text.size(), digest, 16);
  EXPECT_EQ(digest, kSteadyDigest);
}

}  // namespace
}  // namespace tyllm::tensor
