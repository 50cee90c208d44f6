// SPDX-License-Identifier: Apache-2.0
// The operations of visual towers, of every back end that has them, against plain double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tests/worker/tensor/reference_ops.h"
#include "worker/tensor/tower_ops.h"

namespace tyllm::tensor {
namespace {

using testing::ExpectNear;
using testing::Numbers;
using testing::RandomMatrix;

double At(const Matrix& m, std::int64_t r, std::int64_t c) {
  return static_cast<double>(m.data()[r * m.columns() + c]);
}

class TowerOpsContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto made = testing::MakeNamed(GetParam(), 2);
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    backend_ = *std::move(made);
    ops_ = FindTowerOps(*backend_);
    ASSERT_NE(ops_, nullptr);
  }

  Matrix Host(const Matrix& matrix) const { return backend_->Fetch(matrix.view()); }

  std::unique_ptr<Backend> backend_;
  TowerOps* ops_ = nullptr;
};

TEST_P(TowerOpsContract, LayerNormTakesMeanAndVarianceOut) {
  for (const std::int64_t columns : {1, 3, 16, 17, 128, 1000}) {
    Matrix x = RandomMatrix(9, columns, 1, 4.0F);
    for (std::int64_t i = 0; i < x.rows() * columns; ++i) {
      x.data()[i] += 3.0F;
    }
    const Matrix weight = RandomMatrix(1, columns, 2);
    const Matrix bias = RandomMatrix(1, columns, 3);
    Numbers expected;
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      double mean = 0;
      double variance = 0;
      for (std::int64_t c = 0; c < columns; ++c) {
        mean += At(x, r, c) / static_cast<double>(columns);
      }
      for (std::int64_t c = 0; c < columns; ++c) {
        variance += std::pow(At(x, r, c) - mean, 2) / static_cast<double>(columns);
      }
      for (std::int64_t c = 0; c < columns; ++c) {
        expected.push_back((At(x, r, c) - mean) / std::sqrt(variance + 1e-6) * At(weight, 0, c) +
                           At(bias, 0, c));
      }
    }
    Matrix out;
    ops_->LayerNorm(x.view(), weight.row(0), bias.row(0), 1e-6F, out);
    ExpectNear(Host(out), expected, 2e-6, 2e-6);
  }
}

TEST_P(TowerOpsContract, GeluOfAllKindsAlsoFarFromZero) {
  const auto expected = [](Gelu kind, double x) {
    switch (kind) {
      case Gelu::kErf:
        return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
      case Gelu::kTanh:
        return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
      case Gelu::kQuick:
        return x / (1 + std::exp(-1.702 * x));
    }
    return 0.0;
  };
  for (const Gelu kind : {Gelu::kErf, Gelu::kTanh, Gelu::kQuick}) {
    for (const float scale : {1.0F, 6.0F, 300.0F}) {
      Matrix x = RandomMatrix(7, 129, 4, scale);
      Numbers numbers;
      for (std::int64_t i = 0; i < 7 * 129; ++i) {
        numbers.push_back(expected(kind, static_cast<double>(x.data()[i])));
      }
      Matrix out;
      ops_->ApplyGelu(kind, x.view(), out);
      ExpectNear(Host(out), numbers, 1e-6, 2e-6);
      ops_->ApplyGelu(kind, x.view(), x);
      ExpectNear(Host(x), numbers, 1e-6, 2e-6);
    }
  }
}

TEST_P(TowerOpsContract, RotateByTurnsHalvesByTheGivenAngles) {
  for (const std::int64_t head_size : {4, 16, 80}) {
    Matrix x = RandomMatrix(70, 3 * head_size, 5);
    Matrix rotations(70, head_size);
    const std::int64_t half = head_size / 2;
    for (std::int64_t r = 0; r < 70; ++r) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(r) * 0.37 + static_cast<double>(i);
        rotations.row(r)[static_cast<std::size_t>(i)] = static_cast<float>(std::cos(angle));
        rotations.row(r)[static_cast<std::size_t>(half + i)] = static_cast<float>(std::sin(angle));
      }
    }
    Numbers expected;
    for (std::int64_t r = 0; r < 70; ++r) {
      for (std::int64_t c = 0; c < x.columns(); ++c) {
        const std::int64_t lane = c % head_size;
        const double other = lane < half ? -At(x, r, c + half) : At(x, r, c - half);
        expected.push_back(At(x, r, c) * At(rotations, r, lane % half) +
                           other * At(rotations, r, half + lane % half));
      }
    }
    ops_->RotateBy(rotations.view(), head_size, x);
    ExpectNear(Host(x), expected, 1e-6, 1e-6);
  }
}

Numbers ReferenceWithin(const std::vector<std::int32_t>& ends, std::int64_t heads, const Matrix& q,
                        const Matrix& k, const Matrix& v) {
  const std::int64_t size = q.columns() / heads;
  Numbers out(static_cast<std::size_t>(q.rows() * q.columns()));
  std::int64_t begin = 0;
  for (const std::int32_t end : ends) {
    for (std::int64_t r = begin; r < end; ++r) {
      for (std::int64_t head = 0; head < heads; ++head) {
        Numbers weights;
        double total = 0;
        for (std::int64_t key = begin; key < end; ++key) {
          double sum = 0;
          for (std::int64_t i = head * size; i < (head + 1) * size; ++i) {
            sum += At(q, r, i) * At(k, key, i);
          }
          weights.push_back(std::exp(sum / std::sqrt(static_cast<double>(size))));
          total += weights.back();
        }
        for (std::int64_t key = begin; key < end; ++key) {
          for (std::int64_t i = head * size; i < (head + 1) * size; ++i) {
            out[static_cast<std::size_t>(r * q.columns() + i)] +=
                weights[static_cast<std::size_t>(key - begin)] / total * At(v, key, i);
          }
        }
      }
    }
    begin = end;
  }
  return out;
}

TEST_P(TowerOpsContract, AttentionStaysWithinTheRuns) {
  const struct {
    std::vector<std::int32_t> ends;
    std::int64_t heads, size;
  } cases[] = {
      {{1}, 1, 4}, {{4, 8, 9}, 2, 8}, {{300}, 2, 12}, {{128, 257, 260}, 3, 16}, {{70, 140}, 2, 80}};

  for (const auto& test : cases) {
    const std::int64_t columns = test.heads * test.size;
    const Matrix q = RandomMatrix(test.ends.back(), columns, 6, 3.0F);
    const Matrix k = RandomMatrix(test.ends.back(), columns, 7, 3.0F);
    const Matrix v = RandomMatrix(test.ends.back(), columns, 8);
    Matrix out;
    ops_->AttendWithin(test.ends, test.heads, q.view(), k.view(), v.view(), out);
    ExpectNear(Host(out), ReferenceWithin(test.ends, test.heads, q, k, v), 5e-6, 1e-5);
  }
}

TEST_P(TowerOpsContract, MixRowsWeighsRowsOfATable) {
  const Matrix table = RandomMatrix(6, 33, 9);
  const std::vector<std::int32_t> rows = {0, 5, 2, 2, 1, 1};
  const std::vector<float> weights = {0.25F, 0.75F, 1.0F, -1.0F, 0.5F, 0.0F};
  Numbers expected;
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::int64_t c = 0; c < 33; ++c) {
      expected.push_back(static_cast<double>(weights[2 * r]) * At(table, rows[2 * r], c) +
                         static_cast<double>(weights[2 * r + 1]) * At(table, rows[2 * r + 1], c));
    }
  }
  Matrix out;
  ops_->MixRows(table.view(), rows, weights, 2, out);
  ExpectNear(Host(out), expected, 1e-6, 1e-6);
}

/// The first device of each kind of back end that has these operations, where there is one.
std::vector<std::string> DevicesToTest() {
  std::vector<std::string> devices{"steady"};
  for (const BackendKind& kind : BackendKinds()) {
    const std::string device = std::string(kind.name) + (kind.numbered ? ":0" : "");
    const auto backend = MakeBackend(device, 1);
    if (backend.ok() && FindTowerOps(**backend) != nullptr) {
      devices.push_back(device);
    }
  }
  return devices;
}

INSTANTIATE_TEST_SUITE_P(Backends, TowerOpsContract, ::testing::ValuesIn(DevicesToTest()),
                         [](const auto& instance) {
                           return instance.param.substr(0, instance.param.find(':'));
                         });

}  // namespace
}  // namespace tyllm::tensor
