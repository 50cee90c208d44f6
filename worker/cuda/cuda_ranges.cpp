// SPDX-License-Identifier: Apache-2.0
// The method awq: ranges of groups, as quant/range_search.cpp searches them.
#include <algorithm>

#include "worker/cuda/cuda_backend.h"

namespace tyllm::cuda {

using tensor::MatrixView;

namespace {

/// Numbers of candidates' errors that are made at once, and as many of their products.
constexpr std::int64_t kCandidateNumbers = std::int64_t{24} << 20;

/// The same at rows from `first` on.
RangeGroup From(RangeGroup group, GroupedRows shape, std::int64_t first) {
  group.weights += first * shape.width;
  group.errors += first * shape.width;
  group.steps += first * shape.groups();
  group.scales += first * shape.groups();
  group.zeros += first * shape.groups();
  return group;
}

}  // namespace

/// Scratch memory of a search.
struct CudaBackend::RangeRoom {
  RangeRoom(Device& device, GroupedRows shape)
      : rows_at_once(std::clamp<std::int64_t>(kCandidateNumbers / (RangeCandidates() * shape.group),
                                              1, shape.rows)),
        candidates(device.Make<float>(rows_at_once * RangeCandidates() * shape.group)),
        products(device.Make<float>(rows_at_once * RangeCandidates() * shape.group)),
        cross(device.Make<float>(shape.rows * shape.group)),
        coded(device.Make<float>(shape.rows * shape.group)),
        coded_products(device.Make<float>(shape.rows * shape.group)) {}

  std::int64_t rows_at_once;
  Buffer<float> candidates;
  Buffer<float> products;
  Buffer<float> cross;           ///< [rows, group]: errors of all other groups times G
  Buffer<float> coded;           ///< [rows, group]
  Buffer<float> coded_products;  ///< the same times G
};

void CudaBackend::SearchRows(GroupedRows shape, RangeGroup rows, const float* gram,
                             const RangeRoom& room) {
  const std::int64_t size = shape.group;
  const auto block = [&](std::int64_t g) {
    return Tile{gram + g * size * shape.width + g * size, shape.width};
  };
  const auto choose = [&](std::int64_t g, const float* cross) {
    rows.index = g;
    for (std::int64_t first = 0; first < shape.rows; first += room.rows_at_once) {
      GroupedRows some = shape;
      some.rows = std::min(room.rows_at_once, shape.rows - first);
      const RangeGroup group = From(rows, shape, first);
      FillCandidates(some, group, room.candidates.get(), device_.stream());
      products_.SingleTransposed({some.rows * RangeCandidates(), size, size},
                                 {room.candidates.get(), size}, block(g), 1.0F, 0.0F,
                                 room.products.get(), size);
      TakeBestCandidate(some, group, room.candidates.get(), room.products.get(),
                        cross == nullptr ? nullptr : cross + first * size, device_.stream());
    }
  };
  // cross = (e G)_g - e_g G_gg
  const auto compute_cross = [&](std::int64_t g) {
    products_.SingleTransposed({shape.rows, size, shape.width}, {rows.errors, shape.width},
                               {gram + g * size * shape.width, shape.width}, 1.0F, 0.0F,
                               room.cross.get(), size);
    products_.SingleTransposed({shape.rows, size, size}, {rows.errors + g * size, shape.width},
                               block(g), -1.0F, 1.0F, room.cross.get(), size);
  };
  for (std::int64_t g = 0; g < shape.groups(); ++g) {
    choose(g, nullptr);
  }
  for (std::int64_t g = 0; g < shape.groups() && shape.groups() > 1; ++g) {
    compute_cross(g);
    choose(g, room.cross.get());
  }
  for (std::int64_t g = 0; g < shape.groups(); ++g) {
    rows.index = g;
    compute_cross(g);
    CodedGroup(shape, rows, room.coded.get(), device_.stream());
    products_.SingleTransposed({shape.rows, size, size}, {room.coded.get(), size}, block(g), 1.0F,
                               0.0F, room.coded_products.get(), size);
    RescaleGroup(shape, rows, room.coded.get(), room.coded_products.get(), room.cross.get(),
                 device_.stream());
  }
}

quant::CodedLinear CudaBackend::SearchRanges(MatrixView weights, MatrixView gram,
                                             std::int64_t group) {
  device_.Use();
  Buffer<float> kept;
  Buffer<float> kept_gram;
  const GroupedRows shape{weights.rows, weights.columns, group};
  const float* numbers = OnDevice(weights.data, shape.numbers(), kept);
  const float* metric = OnDevice(gram.data, shape.width * shape.width, kept_gram);
  const Buffer<double> nearest_errors = device_.Make<double>(shape.rows);
  const Buffer<double> errors = device_.Make<double>(shape.rows);
  Rows nearest = RoundRows(weights, shape);
  products_.QuadraticForms(Exactness::kThreePlanes, nearest.errors.get(), shape.rows, shape.width,
                           metric, nearest_errors.get());
  nearest.errors = {};  // room for those to come
  const Rows rows = MakeRows(shape);
  const Buffer<float> steps = device_.Make<float>(shape.cells());
  SearchRows(shape,
             {0, numbers, rows.errors.get(), steps.get(), rows.scales.get(), rows.zeros.get()},
             metric, RangeRoom(device_, shape));
  products_.QuadraticForms(Exactness::kThreePlanes, rows.errors.get(), shape.rows, shape.width,
                           metric, errors.get());
  CodesOnSteps(shape, numbers, steps.get(), rows.zeros.get(), rows.codes.get(), device_.stream());
  CodedRows on_steps = rows.view();
  on_steps.scales = steps.get();
  KeepBetterRows(shape, nearest_errors.get(), nearest.view(), errors.get(), on_steps,
                 device_.stream());
  // The errors of those rows are nearest's now, so the same ones are taken back once more.
  KeepBetterRows(shape, nearest_errors.get(), nearest.view(), errors.get(), rows.view(),
                 device_.stream());
  const Buffer<unsigned long long> narrowed = device_.Make<unsigned long long>(1);
  CountNarrowed(shape, steps.get(), nearest.scales.get(), narrowed.get(), device_.stream());
  quant::CodedLinear coded =
      Store(shape, rows.view(), nullptr, device_.Receive(errors.get(), shape.rows));
  coded.clipped_groups = static_cast<std::int64_t>(device_.Receive(narrowed.get(), 1).front());
  coded.facts = Facts(shape, numbers, rows.view(), metric);
  return coded;
}

}  // namespace tyllm::cuda
