// SPDX-License-Identifier: Apache-2.0
#include "tests/worker/tensor/reference_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace tyllm::tensor::testing {

namespace {

double At(MatrixView m, std::int64_t r, std::int64_t c) {
  return static_cast<double>(m.data[r * m.columns + c]);
}

}  // namespace

Result<std::unique_ptr<Backend>> MakeNamed(std::string_view name, int threads) {
  if (name == "steady") {
    return MakeSteadyBackend(threads);
  }
  return MakeBackend(name, threads);
}

Matrix RandomMatrix(std::int64_t rows, std::int64_t columns, std::uint64_t seed, float scale) {
  Matrix m(rows, columns);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    m.data()[i] = scale * (static_cast<float>(state >> 40U) / 8388608.0F - 1.0F);
  }
  return m;
}

Numbers ReferenceLinear(MatrixView x, MatrixView w, std::span<const float> bias) {
  Numbers out;
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t c = 0; c < w.rows; ++c) {
      double sum = bias.empty() ? 0.0 : static_cast<double>(bias[static_cast<std::size_t>(c)]);
      for (std::int64_t i = 0; i < x.columns; ++i) {
        sum += At(x, r, i) * At(w, c, i);
      }
      out.push_back(sum);
    }
  }
  return out;
}

Numbers ReferenceGram(MatrixView x, const Matrix& before) {
  Numbers out;
  for (std::int64_t i = 0; i < x.columns; ++i) {
    for (std::int64_t j = 0; j < x.columns; ++j) {
      double sum = At(before.view(), i, j);
      for (std::int64_t r = 0; r < x.rows; ++r) {
        sum += At(x, r, i) * At(x, r, j);
      }
      out.push_back(sum);
    }
  }
  return out;
}

Numbers ReferenceRmsNorm(MatrixView x, std::span<const float> weight, float epsilon) {
  const auto width = static_cast<std::int64_t>(weight.size());
  Numbers out;
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t run = 0; run < x.columns; run += width) {
      double squares = 0.0;
      for (std::int64_t c = 0; c < width; ++c) {
        squares += At(x, r, run + c) * At(x, r, run + c);
      }
      const double root =
          std::sqrt(squares / static_cast<double>(width) + static_cast<double>(epsilon));
      for (std::int64_t c = 0; c < width; ++c) {
        out.push_back(At(x, r, run + c) / root *
                      static_cast<double>(weight[static_cast<std::size_t>(c)]));
      }
    }
  }
  return out;
}

Numbers ReferenceRope(MatrixView x, std::span<const std::int32_t> positions,
                      std::span<const float> frequencies, std::int64_t head_size) {
  Numbers out;
  const std::int64_t half = head_size / 2;
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t c = 0; c < x.columns; ++c) {
      const std::int64_t lane = c % head_size;
      const float frequency = frequencies[static_cast<std::size_t>(lane % half)];
      // The angle is a float32 by definition (model::RopeFrequencies).
      const auto angle = static_cast<double>(
          static_cast<float>(positions[static_cast<std::size_t>(r)]) * frequency);
      const double other = lane < half ? -At(x, r, c + half) : At(x, r, c - half);
      out.push_back(At(x, r, c) * std::cos(angle) + other * std::sin(angle));
    }
  }
  return out;
}

Numbers ReferenceAttention(const AttentionShape& shape, MatrixView q, MatrixView k, MatrixView v) {
  Numbers out(static_cast<std::size_t>(q.rows * q.columns), 0.0);
  const std::int64_t keys = shape.history + shape.length;
  for (std::int64_t r = 0; r < q.rows; ++r) {
    const std::int64_t sequence = r / shape.length;
    const std::int64_t seen = shape.history + r % shape.length + 1;
    for (std::int64_t head = 0; head < shape.heads; ++head) {
      const std::int64_t kv = head * shape.kv_heads / shape.heads * shape.head_size;
      Numbers scores;
      for (std::int64_t j = 0; j < seen; ++j) {
        double sum = 0.0;
        for (std::int64_t i = 0; i < shape.head_size; ++i) {
          sum += At(q, r, head * shape.head_size + i) * At(k, sequence * keys + j, kv + i);
        }
        scores.push_back(sum / std::sqrt(static_cast<double>(shape.head_size)));
      }
      const double largest = *std::ranges::max_element(scores);
      double total = 0.0;
      for (double& score : scores) {
        score = std::exp(score - largest);
        total += score;
      }
      for (std::int64_t j = 0; j < seen; ++j) {
        for (std::int64_t i = 0; i < shape.head_size; ++i) {
          out[static_cast<std::size_t>(r * q.columns + head * shape.head_size + i)] +=
              scores[static_cast<std::size_t>(j)] / total * At(v, sequence * keys + j, kv + i);
        }
      }
    }
  }
  return out;
}

Numbers ReferenceSiluMul(MatrixView gate, MatrixView up) {
  Numbers out;
  for (std::int64_t i = 0; i < gate.rows * gate.columns; ++i) {
    const auto g = static_cast<double>(gate.data[i]);
    out.push_back(g / (1.0 + std::exp(-g)) * static_cast<double>(up.data[i]));
  }
  return out;
}

Numbers ReferenceLogSumExp(MatrixView x) {
  Numbers out;
  for (std::int64_t r = 0; r < x.rows; ++r) {
    const auto largest = static_cast<double>(*std::ranges::max_element(x.row(r)));
    double sum = 0.0;
    for (const float value : x.row(r)) {
      sum += std::exp(static_cast<double>(value) - largest);
    }
    out.push_back(largest + std::log(sum));
  }
  return out;
}

Numbers ReferenceKlDivergence(MatrixView p, MatrixView q) {
  const Numbers p_sum = ReferenceLogSumExp(p);
  const Numbers q_sum = ReferenceLogSumExp(q);
  Numbers out;
  for (std::int64_t r = 0; r < p.rows; ++r) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < p.columns; ++c) {
      const double log_p = At(p, r, c) - p_sum[static_cast<std::size_t>(r)];
      sum += std::exp(log_p) * (log_p - (At(q, r, c) - q_sum[static_cast<std::size_t>(r)]));
    }
    out.push_back(sum);
  }
  return out;
}

void ExpectNear(const Matrix& actual, const Numbers& expected, double absolute, double relative) {
  ASSERT_EQ(static_cast<std::size_t>(actual.rows() * actual.columns()), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto found = static_cast<double>(actual.data()[i]);
    ASSERT_NEAR(found, expected[i], absolute + relative * std::abs(expected[i]))
        << "row " << static_cast<std::int64_t>(i) / actual.columns() << ", column "
        << static_cast<std::int64_t>(i) % actual.columns();
  }
}

}  // namespace tyllm::tensor::testing
