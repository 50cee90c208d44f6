// SPDX-License-Identifier: Apache-2.0
// Operations of visual towers.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/base/portable_math.h"
#include "worker/tensor/cpu_backend.h"

namespace tyllm::tensor {

namespace {

constexpr std::int64_t kElementRun = 32768;
/// Queries of one task of attention: scratch memory is this many rows of scores, which stay in the
/// cache of a core for a few thousand keys.
constexpr std::int64_t kQueryBlock = 48;

std::int64_t RowRun(std::int64_t columns) {
  return std::max<std::int64_t>(1, kElementRun / std::max<std::int64_t>(1, columns));
}

/// In lanes that the compiler keeps apart, so that it may use vectors.
template <typename Term>
float SumInLanes(std::int64_t n, Term term) {
  constexpr std::int64_t kLanes = 16;
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += term(i + lane);
    }
  }
  double sum = 0;
  for (const float lane : lanes) {
    sum += static_cast<double>(lane);
  }
  for (; i < n; ++i) {
    sum += static_cast<double>(term(i));
  }
  return static_cast<float>(sum);
}

void NormalizeRow(const float* x, std::span<const float> weight, std::span<const float> bias,
                  float epsilon, float* out) {
  const std::int64_t n = std::ssize(weight);
  const auto count = static_cast<float>(n);
  const float mean = SumInLanes(n, [x](std::int64_t i) { return x[i]; }) / count;
  const float variance = SumInLanes(n,
                                    [x, mean](std::int64_t i) {
                                      const float off = x[i] - mean;
                                      return off * off;
                                    }) /
                         count;
  const float factor = 1.0F / std::sqrt(variance + epsilon);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto column = static_cast<std::size_t>(i);
    out[i] = (x[i] - mean) * factor * weight[column] + bias[column];
  }
}

float Erf(float x) {
  return static_cast<float>(PortableErf(static_cast<double>(x)));
}

void ErfGelu(const float* x, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    out[i] = 0.5F * x[i] * (1.0F + Erf(x[i] * std::numbers::sqrt2_v<float> / 2.0F));
  }
}

void RotateHead(float* head, const float* rotation, std::int64_t half) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = head[i];
    const float b = head[i + half];
    head[i] = a * rotation[i] - b * rotation[half + i];
    head[i + half] = b * rotation[i] + a * rotation[half + i];
  }
}

/// Some queries of one head, and the keys that they see.
struct QueryTask {
  std::int64_t first_query = 0;
  std::int64_t queries = 0;
  std::int64_t first_key = 0;
  std::int64_t keys = 0;
};

std::vector<QueryTask> QueryTasks(std::span<const std::int32_t> ends) {
  std::vector<QueryTask> tasks;
  std::int64_t begin = 0;
  for (const std::int32_t end : ends) {
    for (std::int64_t first = begin; first < end; first += kQueryBlock) {
      tasks.push_back({first, std::min(kQueryBlock, end - first), begin, end - begin});
    }
    begin = end;
  }
  return tasks;
}

}  // namespace

void CpuBackend::LayerNorm(MatrixView x, std::span<const float> weight, std::span<const float> bias,
                           float epsilon, Matrix& out) {
  TYLLM_CHECK(static_cast<std::int64_t>(weight.size()) == x.columns);
  TYLLM_CHECK(weight.size() == bias.size() && x.columns > 0);
  out.Reshape(x.rows, x.columns);
  lanes_.ForRuns(x.rows, RowRun(x.columns), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      NormalizeRow(x.row(r).data(), weight, bias, epsilon, out.row(r).data());
    }
  });
}

void CpuBackend::ApplyGelu(Gelu kind, MatrixView x, Matrix& out) {
  // tanh(y) = 2 / (1 + exp(-2 y)) - 1, so that both approximations are x / (1 + exp(-...)).
  constexpr float kTanhSlope = 2.0F * 0.7978845608028654F;
  constexpr float kQuickSlope = 1.702F;
  out.Reshape(x.rows, x.columns);
  lanes_.ForRuns(x.rows * x.columns, kElementRun, [&](std::int64_t first, std::int64_t last) {
    const float* from = x.data + first;
    float* const to = out.data() + first;
    switch (kind) {
      case Gelu::kErf:
        return ErfGelu(from, to, last - first);
      case Gelu::kTanh:
        return loops_.sigmoid_mul(from, kTanhSlope, kTanhSlope * 0.044715F, to, last - first);
      case Gelu::kQuick:
        return loops_.sigmoid_mul(from, kQuickSlope, 0.0F, to, last - first);
    }
  });
}

void CpuBackend::RotateBy(MatrixView rotations, std::int64_t head_size, Matrix& x) {
  TYLLM_CHECK(rotations.rows == x.rows() && rotations.columns == head_size);
  TYLLM_CHECK(x.columns() % head_size == 0);
  lanes_.ForRuns(x.rows(), 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      for (std::int64_t c = 0; c < x.columns(); c += head_size) {
        RotateHead(x.row(r).data() + c, rotations.row(r).data(), head_size / 2);
      }
    }
  });
}

void CpuBackend::AttendWithin(std::span<const std::int32_t> ends, std::int64_t heads, MatrixView q,
                              MatrixView k, MatrixView v, Matrix& out) {
  TYLLM_CHECK(q.rows == k.rows && q.rows == v.rows && q.columns == k.columns);
  TYLLM_CHECK(q.columns == v.columns && q.columns % heads == 0);
  TYLLM_CHECK(!ends.empty() && ends.back() == q.rows);
  out.Reshape(q.rows, q.columns);
  const std::int64_t head_size = q.columns / heads;
  const float factor = 1.0F / std::sqrt(static_cast<float>(head_size));
  const std::vector<QueryTask> tasks = QueryTasks(ends);
  const auto run = [&](std::int64_t number, std::vector<float>& scratch) {
    const QueryTask& task = tasks[static_cast<std::size_t>(number / heads)];
    const std::int64_t column = number % heads * head_size;
    const auto tile = [&](MatrixView m, std::int64_t row) {
      return Tile{m.data + row * m.columns + column, m.columns};
    };
    const auto needed = static_cast<std::size_t>(task.queries * (task.keys + 1));
    scratch.resize(std::max(scratch.size(), needed));
    float* const scores = scratch.data();
    float* const sums = scores + task.queries * task.keys;
    products_.multiply_transposed({.rows = task.queries, .columns = task.keys, .depth = head_size},
                                  tile(q, task.first_query), tile(k, task.first_key), factor, 0.0F,
                                  scores, task.keys);
    for (std::int64_t i = 0; i < task.queries; ++i) {
      float* const row = scores + i * task.keys;
      sums[i] = loops_.exp_in_place(row, task.keys, loops_.max(row, task.keys));
    }
    float* const mixed = out.row(task.first_query).data() + column;
    products_.multiply({.rows = task.queries, .columns = head_size, .depth = task.keys},
                       {scores, task.keys}, tile(v, task.first_key), mixed, q.columns);
    for (std::int64_t i = 0; i < task.queries; ++i) {
      loops_.scale(mixed + i * q.columns, 1.0F / sums[i], head_size);
    }
  };
  lanes_.ForEach(std::ssize(tasks) * heads, run);
}

void CpuBackend::MixRows(MatrixView table, std::span<const std::int32_t> rows,
                         std::span<const float> weights, std::int64_t each, Matrix& out) {
  TYLLM_CHECK(each > 0 && rows.size() == weights.size());
  const std::int64_t count = std::ssize(rows) / each;
  TYLLM_CHECK(count * each == std::ssize(rows));
  out.Reshape(count, table.columns);
  lanes_.ForRuns(count, RowRun(table.columns), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      float* const to = out.row(r).data();
      std::fill_n(to, table.columns, 0.0F);
      for (std::int64_t j = r * each; j < (r + 1) * each; ++j) {
        const float weight = weights[static_cast<std::size_t>(j)];
        const float* const from = table.row(rows[static_cast<std::size_t>(j)]).data();
        for (std::int64_t c = 0; c < table.columns; ++c) {
          to[c] += weight * from[c];
        }
      }
    }
  });
}

}  // namespace tyllm::tensor
