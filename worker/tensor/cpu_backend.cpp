// SPDX-License-Identifier: Apache-2.0
// Operations that go over rows or elements.
#include "worker/tensor/cpu_backend.h"

#include <algorithm>
#include <cmath>

#include "common/base/portable_math.h"

namespace tyllm::tensor {

namespace {

/// What a task handles, so that handing it out costs little.
constexpr std::int64_t kElementRun = 32768;
/// Vocabulary-long sums are taken in pieces of this length, and the pieces summed in double.
constexpr std::int64_t kSumRun = 1024;

std::int64_t RowRun(std::int64_t columns) {
  return std::max<std::int64_t>(1, kElementRun / std::max<std::int64_t>(1, columns));
}

double LogSumExpOfRow(const VectorLoops& loops, std::span<const float> row) {
  const auto n = static_cast<std::int64_t>(row.size());
  const float largest = loops.max(row.data(), n);
  double sum = 0.0;
  for (std::int64_t c = 0; c < n; c += kSumRun) {
    sum += static_cast<double>(loops.sum_exp(row.data() + c, std::min(kSumRun, n - c), largest));
  }
  return static_cast<double>(largest) + PortableLog(sum);
}

}  // namespace

CpuBackend::CpuBackend(int threads, const VectorLoops& loops, const MatrixProducts& products)
    : lanes_(threads), loops_(loops), products_(products) {}

Matrix CpuBackend::Fetch(MatrixView matrix) {
  return {matrix.rows, matrix.columns,
          std::vector<float>(matrix.data, matrix.data + matrix.rows * matrix.columns)};
}

void CpuBackend::Copy(MatrixView x, Matrix& out) {
  out.Reshape(x.rows, x.columns);
  std::copy_n(x.data, x.rows * x.columns, out.data());
}

void CpuBackend::Embed(MatrixView table, std::span<const std::int32_t> ids, Matrix& out) {
  out.Reshape(static_cast<std::int64_t>(ids.size()), table.columns);
  lanes_.ForRuns(out.rows(), RowRun(table.columns), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      std::ranges::copy(table.row(ids[static_cast<std::size_t>(r)]), out.row(r).begin());
    }
  });
}

void CpuBackend::RmsNorm(MatrixView x, std::span<const float> weight, float epsilon, Matrix& out) {
  const auto width = static_cast<std::int64_t>(weight.size());
  TYLLM_CHECK(width > 0 && x.columns % width == 0);
  out.Reshape(x.rows, x.columns);
  const std::int64_t runs = x.rows * (x.columns / width);
  lanes_.ForRuns(runs, RowRun(width), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const float* from = x.data + r * width;
      const float mean = loops_.sum_squares(from, width) / static_cast<float>(width);
      loops_.scale_by_weight(from, weight.data(), 1.0F / std::sqrt(mean + epsilon),
                             out.data() + r * width, width);
    }
  });
}

void CpuBackend::SiluMul(MatrixView gate, MatrixView up, Matrix& out) {
  TYLLM_CHECK(gate.rows == up.rows && gate.columns == up.columns);
  out.Reshape(gate.rows, gate.columns);
  lanes_.ForRuns(gate.rows * gate.columns, kElementRun, [&](std::int64_t first, std::int64_t last) {
    loops_.silu_mul(gate.data + first, up.data + first, out.data() + first, last - first);
  });
}

void CpuBackend::Add(MatrixView a, MatrixView b, Matrix& out) {
  TYLLM_CHECK(a.rows == b.rows && a.columns == b.columns);
  out.Reshape(a.rows, a.columns);
  lanes_.ForRuns(a.rows * a.columns, kElementRun, [&](std::int64_t first, std::int64_t last) {
    loops_.add(a.data + first, b.data + first, out.data() + first, last - first);
  });
}

void CpuBackend::LogSumExp(MatrixView x, std::span<double> out) {
  TYLLM_CHECK(static_cast<std::int64_t>(out.size()) == x.rows && x.columns > 0);
  lanes_.ForRuns(x.rows, RowRun(x.columns), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      out[static_cast<std::size_t>(r)] = LogSumExpOfRow(loops_, x.row(r));
    }
  });
}

void CpuBackend::Pick(MatrixView x, std::span<const std::int32_t> columns, std::span<float> out) {
  TYLLM_CHECK(static_cast<std::int64_t>(columns.size()) == x.rows && out.size() == columns.size());
  for (std::size_t r = 0; r < columns.size(); ++r) {
    out[r] = x.row(static_cast<std::int64_t>(r))[static_cast<std::size_t>(columns[r])];
  }
}

void CpuBackend::ArgMax(MatrixView x, std::span<std::int32_t> out) {
  TYLLM_CHECK(static_cast<std::int64_t>(out.size()) == x.rows && x.columns > 0);
  lanes_.ForRuns(x.rows, RowRun(x.columns), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const std::span<const float> row = x.row(r);
      const auto at = std::ranges::find(row, loops_.max(row.data(), x.columns));
      // Not found only among NaNs: the first column, so that the answer is always a column.
      out[static_cast<std::size_t>(r)] =
          at == row.end() ? 0 : static_cast<std::int32_t>(at - row.begin());
    }
  });
}

void CpuBackend::KlDivergence(MatrixView p, MatrixView q, std::span<double> out) {
  TYLLM_CHECK(p.rows == q.rows && p.columns == q.columns && p.columns > 0);
  TYLLM_CHECK(static_cast<std::int64_t>(out.size()) == p.rows);
  lanes_.ForRuns(p.rows, RowRun(p.columns), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const double p_sum = LogSumExpOfRow(loops_, p.row(r));
      const auto gap = static_cast<float>(p_sum - LogSumExpOfRow(loops_, q.row(r)));
      double sum = 0.0;
      for (std::int64_t c = 0; c < p.columns; c += kSumRun) {
        sum += static_cast<double>(loops_.sum_divergence(p.row(r).data() + c, q.row(r).data() + c,
                                                         std::min(kSumRun, p.columns - c),
                                                         static_cast<float>(p_sum), gap));
      }
      out[static_cast<std::size_t>(r)] = sum;
    }
  });
}

}  // namespace tyllm::tensor
