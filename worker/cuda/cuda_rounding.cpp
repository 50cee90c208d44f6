// SPDX-License-Identifier: Apache-2.0
// Making integers: rounding, error feedback, refinement.
#include <algorithm>
#include <functional>
#include <numeric>

#include "worker/cuda/cuda_backend.h"
#include "worker/cuda/kernels/code_facts.h"
#include "worker/cuda/kernels/elementwise.h"
#include "worker/cuda/kernels/feedback.h"
#include "worker/cuda/kernels/metric.h"
#include "worker/cuda/kernels/refinement.h"

namespace tyllm::cuda {

using tensor::Matrix;
using tensor::MatrixView;

namespace {

/// quant/code_refinement.cpp's.
constexpr int kSweeps = 4;
/// quant/input_metric.cpp's.
constexpr double kDamping = 0.01;
constexpr double kMoreDamping = 10.0;

/// Columns that are taken out of by one product: what is left of them is not computed.
constexpr std::int64_t kUpdatePanel = 2048;

}  // namespace

bool CudaBackend::CompensatesGroups(std::int64_t group) const {
  return TakesGroup(group);
}

CudaBackend::Rows CudaBackend::MakeRows(GroupedRows shape) {
  return {device_.Make<std::uint8_t>(shape.numbers()), device_.Make<float>(shape.cells()),
          device_.Make<float>(shape.cells()), device_.Make<float>(shape.numbers())};
}

quant::CodedLinear CudaBackend::Store(GroupedRows shape, CodedRows rows,
                                      const std::int32_t* columns, std::vector<double> errors) {
  auto stored = std::make_unique<DeviceCodes>();
  stored->codes = device_.Make<std::uint8_t>(shape.numbers());
  stored->zeros = device_.Make<std::uint8_t>(shape.cells());
  stored->scales = device_.Make<std::uint16_t>(shape.cells());
  StoreCodes(shape, rows, columns, stored->codes.get(), stored->zeros.get(), stored->scales.get(),
             device_.stream());
  quant::CodedLinear coded;
  coded.matrix.rows = shape.rows;
  coded.matrix.columns = shape.width;
  coded.matrix.group = shape.group;
  coded.on_device = std::move(stored);
  coded.row_errors = std::move(errors);
  return coded;
}

quant::CodeFacts CudaBackend::Facts(GroupedRows shape, const float* weights, CodedRows rows,
                                    const float* gram) {
  Buffer<float> energy;
  if (gram != nullptr) {
    energy = device_.Make<float>(shape.width);
    Diagonal(gram, shape.width, energy.get(), device_.stream());
  }
  const Buffer<double> partial = device_.Make<double>(FactParts(shape.rows) * shape.groups());
  const Buffer<double> errors = device_.Make<double>(shape.groups());
  const Buffer<unsigned long long> saturated = device_.Make<unsigned long long>(1);
  DescribeCodes(shape, weights, rows, energy.get(), partial.get(), errors.get(), saturated.get(),
                device_.stream());
  quant::CodeFacts facts;
  facts.group_errors = device_.Receive(errors.get(), shape.groups());
  facts.saturated = static_cast<std::int64_t>(device_.Receive(saturated.get(), 1).front());
  return facts;
}

CudaBackend::Rows CudaBackend::RoundRows(MatrixView weights, GroupedRows shape) {
  device_.Use();
  Buffer<float> kept;
  Rows rows = MakeRows(shape);
  cuda::RoundToNearest(OnDevice(weights.data, shape.numbers(), kept), shape, rows.view(),
                       device_.stream());
  return rows;
}

quant::CodedLinear CudaBackend::RoundToNearest(MatrixView weights, MatrixView gram,
                                               std::int64_t group) {
  const GroupedRows shape{weights.rows, weights.columns, group};
  const Rows rows = RoundRows(weights, shape);
  quant::CodedLinear coded = Store(shape, rows.view(), nullptr,
                                   RowErrors({rows.errors.get(), shape.rows, shape.width}, gram));
  Buffer<float> kept;
  Buffer<float> kept_gram;
  coded.facts =
      Facts(shape, OnDevice(weights.data, shape.numbers(), kept), rows.view(),
            gram.rows == 0 ? nullptr : OnDevice(gram.data, gram.rows * gram.columns, kept_gram));
  return coded;
}

std::vector<double> CudaBackend::NearestErrors(MatrixView weights, MatrixView gram,
                                               std::int64_t group) {
  const GroupedRows shape{weights.rows, weights.columns, group};
  const Rows rows = RoundRows(weights, shape);
  return RowErrors({rows.errors.get(), shape.rows, shape.width}, gram);
}

/// From the last columns to the first, as quant/upper_factor.cpp: factor a block, divide what is
/// above it, take what it explains out of the columns before.
bool CudaBackend::FactorUpper(float* matrix, std::int64_t n) {
  const Buffer<float> inverse = device_.Make<float>(kFactorBlock * kFactorBlock);
  const Buffer<float> above = device_.Make<float>(n * kFactorBlock);
  const Buffer<std::int32_t> failed = device_.Make<std::int32_t>(1);
  Check(cudaMemsetAsync(failed.get(), 0, sizeof(std::int32_t), device_.stream()),
        "cudaMemsetAsync");
  for (std::int64_t end = n; end > 0; end -= std::min<std::int64_t>(kFactorBlock, end)) {
    const std::int64_t first = std::max<std::int64_t>(0, end - kFactorBlock);
    const std::int64_t size = end - first;
    FactorBlock(matrix, n, first, static_cast<int>(size), inverse.get(), failed.get(),
                device_.stream());
    products_.SingleTransposed({first, size, size}, {matrix + first, n}, {inverse.get(), size},
                               1.0F, 0.0F, above.get(), size);
    CopyBlock(above.get(), size, first, size, matrix + first, n, device_.stream());
    for (std::int64_t left = 0; left < first; left += kUpdatePanel) {
      const std::int64_t right = std::min(left + kUpdatePanel, first);
      products_.SingleTransposed({right, right - left, size}, {above.get(), size},
                                 {above.get() + left * size, size}, -1.0F, 1.0F, matrix + left, n);
    }
  }
  return device_.Receive(failed.get(), 1).front() == 0;
}

void CudaBackend::FactorDamped(MatrixView gram, double mean, std::span<const float> scales,
                               Matrix& factor) {
  const std::int64_t n = gram.columns;
  const Buffer<float> added = device_.Make<float>(n);
  for (double damping = kDamping * mean;; damping *= kMoreDamping) {
    if (!std::isfinite(damping)) {
      throw tensor::DeviceError(false, "the inputs of a linear layer hold NaN or infinity");
    }
    Copy(gram, factor);
    std::vector<float> damps;
    for (const float scale : scales) {
      damps.push_back(static_cast<float>(damping / (static_cast<double>(scale) * scale)));
    }
    device_.CopyIn(added.get(), damps.data(), damps.size() * sizeof(float));
    AddDiagonal(added.get(), n, factor.data(), device_.stream());
    if (FactorUpper(factor.data(), n)) {
      return;
    }
  }
}

Matrix CudaBackend::DampedFactor(const Matrix& gram) {
  device_.Use();
  Buffer<float> kept;
  const std::int64_t n = gram.columns();
  const float* from = OnDevice(gram.data(), n * n, kept);
  const Buffer<float> numbers = device_.Make<float>(n);
  Diagonal(from, n, numbers.get(), device_.stream());
  const double mean = quant::MeanDiagonal(device_.Receive(numbers.get(), n));
  Matrix factor;
  FactorDamped({from, n, n}, mean, std::vector<float>(static_cast<std::size_t>(n), 1.0F), factor);
  return factor;
}

quant::InputMetric CudaBackend::MakeInputMetric(const Matrix& gram, std::span<const float> scales,
                                                std::int64_t group) {
  device_.Use();
  Buffer<float> kept;
  const std::int64_t n = gram.columns();
  const float* from = OnDevice(gram.data(), n * n, kept);
  const Buffer<float> numbers = device_.Make<float>(n);
  Diagonal(from, n, numbers.get(), device_.stream());
  const std::vector<float> diagonal = device_.Receive(numbers.get(), n);
  quant::InputMetric metric;
  metric.group = group;
  metric.columns = quant::TreatmentOrder(diagonal, scales, group);
  const std::vector<std::int32_t> columns(metric.columns.begin(), metric.columns.end());
  const Buffer<std::int32_t> order = device_.Send(std::span(columns));
  const Buffer<float> sent_scales = device_.Send(scales);
  OrderGram(from, n, order.get(), sent_scales.get(), Shape(metric.gram, n, n), device_.stream());
  std::vector<float> ordered;
  for (const std::int64_t column : metric.columns) {
    ordered.push_back(scales[static_cast<std::size_t>(column)]);
  }
  FactorDamped(metric.gram.view(), quant::MeanDiagonal(diagonal), ordered, metric.feedback);
  const Buffer<float> inverses = device_.Make<float>(n);
  Pivots(metric.feedback.data(), n, numbers.get(), inverses.get(), device_.stream());
  cuda::MultiplyColumns(inverses.get(), n, n, metric.feedback.data(), device_.stream());
  metric.cost = device_.Receive(numbers.get(), n);
  return metric;
}

void CudaBackend::RoundWithFeedback(GroupedRows shape, const float* weights,
                                    const quant::InputMetric& metric, bool searched,
                                    CodedRows rows) {
  const Buffer<float> moved_by = device_.Make<float>(shape.rows * shape.group);
  const Buffer<float> targets = device_.Make<float>(shape.rows * shape.group);
  const Buffer<float> grids = device_.Make<float>(shape.rows * kGridLanes * 2);
  const Buffer<float> cost = device_.Send(std::span(metric.cost));
  const float* feedback = metric.feedback.data();
  for (std::int64_t g = 0; g < shape.groups(); ++g) {
    const std::int64_t first = g * shape.group;
    if (first > 0) {
      products_.Single({shape.rows, shape.group, first}, {rows.errors, shape.width},
                       {feedback + first, shape.width}, moved_by.get(), shape.group);
    }
    const FeedbackGroup group{g, weights, moved_by.get(), feedback, cost.get()};
    ChooseGrids(shape, group, searched, targets.get(), grids.get(), device_.stream());
    Compensate(shape, group, targets.get(), grids.get(), rows, device_.stream());
  }
}

void CudaBackend::Refine(GroupedRows shape, const float* weights, const quant::InputMetric& metric,
                         bool refit, CodedRows rows) {
  const Buffer<float> gradient = device_.Make<float>(shape.rows * shape.group);
  const Buffer<float> sums = device_.Make<float>(shape.width);
  const Buffer<double> totals = device_.Make<double>(shape.groups());
  const float* gram = metric.gram.data();
  GroupSums(gram, shape.width, shape.group, sums.get(), totals.get(), device_.stream());
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::int64_t g = 0; g < shape.groups(); ++g) {
      products_.SingleTransposed({shape.rows, shape.group, shape.width}, {rows.errors, shape.width},
                                 {gram + g * shape.group * shape.width, shape.width}, 1.0F, 0.0F,
                                 gradient.get(), shape.group);
      RefineGroup(shape, {g, weights, gradient.get(), gram, sums.get(), totals.get()}, refit, rows,
                  device_.stream());
    }
  }
}

quant::CodedLinear CudaBackend::CompensateErrors(MatrixView weights,
                                                 const quant::InputMetric& metric,
                                                 quant::GridChoice choice) {
  TYLLM_CHECK(CompensatesGroups(metric.group));
  device_.Use();
  Buffer<float> kept;
  const GroupedRows shape{weights.rows, weights.columns, metric.group};
  const std::vector<std::int32_t> columns(metric.columns.begin(), metric.columns.end());
  const Buffer<std::int32_t> order = device_.Send(std::span(columns));
  const Buffer<float> ordered = device_.Make<float>(shape.numbers());
  GatherColumns(OnDevice(weights.data, shape.numbers(), kept), shape.rows, shape.width, order.get(),
                ordered.get(), device_.stream());
  Rows nearest = RoundRows({ordered.get(), shape.rows, shape.width}, shape);
  const Buffer<double> nearest_errors = device_.Make<double>(shape.rows);
  const Buffer<double> errors = device_.Make<double>(shape.rows);
  products_.QuadraticForms(Exactness::kThreePlanes, nearest.errors.get(), shape.rows, shape.width,
                           metric.gram.data(), nearest_errors.get());
  nearest.errors = {};  // room for those to come
  const Rows rows = MakeRows(shape);
  const bool searched = choice == quant::GridChoice::kSearched;
  RoundWithFeedback(shape, ordered.get(), metric, searched, rows.view());
  Refine(shape, ordered.get(), metric, searched, rows.view());
  products_.QuadraticForms(Exactness::kThreePlanes, rows.errors.get(), shape.rows, shape.width,
                           metric.gram.data(), errors.get());
  KeepBetterRows(shape, nearest_errors.get(), nearest.view(), errors.get(), rows.view(),
                 device_.stream());
  const Buffer<unsigned long long> narrowed = device_.Make<unsigned long long>(1);
  CountNarrowed(shape, rows.scales.get(), nearest.scales.get(), narrowed.get(), device_.stream());
  quant::CodedLinear coded =
      Store(shape, rows.view(), order.get(), device_.Receive(errors.get(), shape.rows));
  coded.clipped_groups = static_cast<std::int64_t>(device_.Receive(narrowed.get(), 1).front());
  quant::CodeFacts facts = Facts(shape, ordered.get(), rows.view(), metric.gram.data());
  coded.facts = facts;
  for (std::int64_t g = 0; g < shape.groups(); ++g) {
    const std::int64_t to = metric.columns[static_cast<std::size_t>(g * shape.group)] / shape.group;
    coded.facts.group_errors[static_cast<std::size_t>(to)] =
        facts.group_errors[static_cast<std::size_t>(g)];
  }
  return coded;
}

}  // namespace tyllm::cuda
