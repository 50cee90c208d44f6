// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/kernels/device_math.cuh"
#include "worker/cuda/kernels/grid_math.cuh"
#include "worker/cuda/kernels/ranges.h"

namespace tyllm::cuda {

namespace {

constexpr int kThreads = 256;
/// quant/range_search.cpp's.
constexpr float kLeastRescale = 0.5F;
constexpr float kMostRescale = 2.0F;
constexpr float kLargestStep = 65504.0F;

/// Where one row's group stands.
struct Place {
  std::int64_t row;
  std::int64_t at;    ///< of its first column in [rows, width]
  std::int64_t cell;  ///< in [rows, groups]
};

__device__ Place PlaceOf(GroupedRows shape, std::int64_t row, std::int64_t g) {
  return {row, row * shape.width + g * shape.group, row * shape.groups() + g};
}

/// A warp a row.
__device__ std::int64_t RowOfWarp() {
  return GlobalThread() / kWarp;
}

__global__ void FillCandidatesKernel(GroupedRows shape, RangeGroup group, float* out) {
  const std::int64_t row = RowOfWarp();
  if (row >= shape.rows) {
    return;
  }
  const int count = static_cast<int>(shape.group);
  const float* w = group.weights + PlaceOf(shape, row, group.index).at;
  float low = 0.0F;
  float high = 0.0F;
  for (int i = threadIdx.x % kWarp; i < count; i += kWarp) {
    low = fminf(low, w[i]);
    high = fmaxf(high, w[i]);
  }
  low = WarpMin(low);
  high = WarpMax(high);
  float* to = out + row * kGridCandidates * count;
  for (int k = 0; k < kGridCandidates; ++k, to += count) {
    const Grid grid = CandidateGrid(k, low, high);
    const float inverse = 1.0F / grid.scale;
    for (int i = threadIdx.x % kWarp; i < count; i += kWarp) {
      to[i] = ErrorOf(w[i], inverse, grid);
    }
  }
}

__global__ void TakeBestKernel(GroupedRows shape, RangeGroup group, const float* candidates,
                               const float* products, const float* cross) {
  const std::int64_t row = RowOfWarp();
  if (row >= shape.rows) {
    return;
  }
  const int count = static_cast<int>(shape.group);
  const int lane = threadIdx.x % kWarp;
  const Place place = PlaceOf(shape, row, group.index);
  const float* e = candidates + row * kGridCandidates * count;
  const float* p = products + row * kGridCandidates * count;
  int best = 0;
  float best_score = 0.0F;
  for (int k = 0; k < kGridCandidates; ++k) {
    float score = 0.0F;
    for (int i = lane; i < count; i += kWarp) {
      const float other = cross != nullptr ? 2.0F * cross[row * count + i] : 0.0F;
      score += (p[k * count + i] + other) * e[k * count + i];
    }
    score = WarpSum(score);
    if (k == 0 || score < best_score) {
      best = k;
      best_score = score;
    }
  }
  float low = 0.0F;
  float high = 0.0F;
  for (int i = lane; i < count; i += kWarp) {
    const float w = group.weights[place.at + i];
    low = fminf(low, w);
    high = fmaxf(high, w);
    group.errors[place.at + i] = e[best * count + i];
  }
  const Grid grid = CandidateGrid(best, WarpMin(low), WarpMax(high));
  if (lane == 0) {
    group.steps[place.cell] = grid.scale;
    group.scales[place.cell] = grid.scale;
    group.zeros[place.cell] = grid.zero;
  }
}

__global__ void CodedGroupKernel(GroupedRows shape, RangeGroup group, float* out) {
  const std::int64_t numbers = shape.rows * shape.group;
  for (std::int64_t i = GlobalThread(); i < numbers; i += AllThreads()) {
    const std::int64_t at = PlaceOf(shape, i / shape.group, group.index).at + i % shape.group;
    out[i] = group.errors[at] + group.weights[at];
  }
}

__global__ void RescaleKernel(GroupedRows shape, RangeGroup group, const float* coded,
                              const float* products, const float* cross) {
  const std::int64_t row = RowOfWarp();
  if (row >= shape.rows) {
    return;
  }
  const int count = static_cast<int>(shape.group);
  const int lane = threadIdx.x % kWarp;
  const Place place = PlaceOf(shape, row, group.index);
  const float* d = coded + row * count;
  const float* p = products + row * count;
  float square = 0.0F;
  float linear = 0.0F;
  for (int i = lane; i < count; i += kWarp) {
    square += p[i] * d[i];
    linear += p[i] * group.weights[place.at + i] - cross[row * count + i] * d[i];
  }
  square = WarpSum(square);
  linear = WarpSum(linear);
  if (!(square > 0.0F)) {
    return;
  }
  const float present = group.scales[place.cell];
  const float best = fminf(fmaxf(linear / square, kLeastRescale), kMostRescale);
  const float scale = AsHalf(present * best);
  const float a = scale / present;
  const bool is_stored = a > 0.0F && scale <= kLargestStep;
  if (!is_stored || !(a * (a * square - 2.0F * linear) < square - 2.0F * linear)) {
    return;
  }
  for (int i = lane; i < count; i += kWarp) {
    group.errors[place.at + i] = d[i] * a - group.weights[place.at + i];
  }
  __syncwarp();  // all lanes have read the present scale
  if (lane == 0) {
    group.scales[place.cell] = scale;
  }
}

__global__ void CodesOnStepsKernel(GroupedRows shape, const float* weights, const float* steps,
                                   const float* zeros, std::uint8_t* codes) {
  for (std::int64_t i = GlobalThread(); i < shape.numbers(); i += AllThreads()) {
    const std::int64_t cell = i / shape.group;  // groups of a row are neighbours
    codes[i] = static_cast<std::uint8_t>(CodeOf(weights[i], 1.0F / steps[cell], zeros[cell]));
  }
}

int WarpBlocks(std::int64_t rows) {
  return Blocks(rows * kWarp, kThreads);
}

}  // namespace

std::int64_t RangeCandidates() {
  return kGridCandidates;
}

void FillCandidates(GroupedRows shape, const RangeGroup& group, float* out, cudaStream_t stream) {
  FillCandidatesKernel<<<WarpBlocks(shape.rows), kThreads, 0, stream>>>(shape, group, out);
}

void TakeBestCandidate(GroupedRows shape, const RangeGroup& group, const float* candidates,
                       const float* products, const float* cross, cudaStream_t stream) {
  TakeBestKernel<<<WarpBlocks(shape.rows), kThreads, 0, stream>>>(shape, group, candidates,
                                                                  products, cross);
}

void CodedGroup(GroupedRows shape, const RangeGroup& group, float* out, cudaStream_t stream) {
  CodedGroupKernel<<<Blocks(shape.rows * shape.group, 4 * kThreads), kThreads, 0, stream>>>(
      shape, group, out);
}

void RescaleGroup(GroupedRows shape, const RangeGroup& group, const float* coded,
                  const float* products, const float* cross, cudaStream_t stream) {
  RescaleKernel<<<WarpBlocks(shape.rows), kThreads, 0, stream>>>(shape, group, coded, products,
                                                                 cross);
}

void CodesOnSteps(GroupedRows shape, const float* weights, const float* steps, const float* zeros,
                  std::uint8_t* codes, cudaStream_t stream) {
  CodesOnStepsKernel<<<Blocks(shape.numbers(), 4 * kThreads), kThreads, 0, stream>>>(
      shape, weights, steps, zeros, codes);
}

}  // namespace tyllm::cuda
