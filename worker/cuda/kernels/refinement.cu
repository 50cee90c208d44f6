// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/kernels/device_math.cuh"
#include "worker/cuda/kernels/grid_math.cuh"
#include "worker/cuda/kernels/refinement.h"

namespace tyllm::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kPasses = 3;
constexpr int kMostBlocks = 132 * 3;

/// quant::GroupProducts.
struct GroupProducts {
  double codes_codes;
  double codes_ones;
  double ones_ones;
  double codes_gradient;
  double ones_gradient;
};

struct Line {
  double slope;
  double offset;
};

__device__ Line LineOf(Grid grid) {
  return {grid.scale, -static_cast<double>(grid.scale) * grid.zero};
}

__device__ double Growth(Line from, Line to, const GroupProducts& p) {
  const double slope = to.slope - from.slope;
  const double offset = to.offset - from.offset;
  return slope * slope * p.codes_codes + 2.0 * slope * offset * p.codes_ones +
         offset * offset * p.ones_ones +
         2.0 * (slope * p.codes_gradient + offset * p.ones_gradient);
}

__device__ double BestZero(Grid present, const GroupProducts& p) {
  constexpr double kSingular = 1e-9;
  const double determinant = p.codes_codes * p.ones_ones - p.codes_ones * p.codes_ones;
  if (!(determinant > kSingular * p.codes_codes * p.ones_ones)) {
    return present.zero;
  }
  const Line line = LineOf(present);
  const double slope =
      line.slope + (p.ones_gradient * p.codes_ones - p.codes_gradient * p.ones_ones) / determinant;
  const double offset =
      line.offset +
      (p.codes_gradient * p.codes_ones - p.ones_gradient * p.codes_codes) / determinant;
  return slope > 0.0 ? -offset / slope : present.zero;
}

__device__ float BestScale(Grid present, double zero, const GroupProducts& p) {
  const double square = p.codes_codes - 2.0 * zero * p.codes_ones + zero * zero * p.ones_ones;
  if (!(square > 0.0)) {
    return 0.0F;
  }
  const Line line = LineOf(present);
  const double linear = line.slope * (p.codes_codes - zero * p.codes_ones) +
                        line.offset * (p.codes_ones - zero * p.ones_ones) -
                        (p.codes_gradient - zero * p.ones_gradient);
  const double scale = fmin(fmax(linear / square, line.slope * 0.5), line.slope * 2.0);
  return scale <= 65504.0 ? AsHalf(static_cast<float>(scale)) : 0.0F;
}

/// quant::RefitGrid.
__device__ Grid RefitGrid(Grid present, const GroupProducts& products) {
  const double best_zero = BestZero(present, products);
  const double zeros[3] = {present.zero, fmin(fmax(floor(best_zero), 0.0), 15.0),
                           fmin(fmax(ceil(best_zero), 0.0), 15.0)};
  Grid best = present;
  double best_growth = 0.0;
  for (const double zero : zeros) {
    const Grid grid{BestScale(present, zero, products), static_cast<float>(zero)};
    const double growth = Growth(LineOf(present), LineOf(grid), products);
    if (grid.scale > 0.0F && growth < best_growth) {
      best = grid;
      best_growth = growth;
    }
  }
  return best;
}

/// One row's group, a warp's: lane l holds the columns l * kEach, ...
template <int kGroup>
struct RowGroup {
  static constexpr int kEach = kGroup / kWarp;
  float codes[kEach];
  float own[kEach];  ///< gradient
  Grid grid;

  /// What the column would become; its code where it stays.
  __device__ float Next(int e, float gram) const {
    const float step_gain = gram * grid.scale;
    if (!(fabsf(own[e]) > 0.5F * step_gain) || !(step_gain > 0.0F)) {
      return codes[e];
    }
    return ClampCode(codes[e] - rintf(own[e] / step_gain));
  }
};

template <int kGroup>
__device__ void Refit(const float* gram, const float* sums, double total, float* spread,
                      RowGroup<kGroup>& row) {
  constexpr int kEach = kGroup / kWarp;
  const int at = threadIdx.x % kWarp * kEach;
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    spread[at + e] = row.codes[e];
  }
  __syncwarp();
  float codes_gram[kEach] = {};
#pragma unroll 8
  for (int k = 0; k < kGroup; ++k) {
    const float code = spread[k];
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      codes_gram[e] = __fmaf_rn(code, gram[k * kGroup + at + e], codes_gram[e]);
    }
  }
  __syncwarp();
  GroupProducts products{0.0, 0.0, total, 0.0, 0.0};
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    products.codes_codes += static_cast<double>(codes_gram[e] * row.codes[e]);
    products.codes_ones += static_cast<double>(sums[at + e] * row.codes[e]);
    products.codes_gradient += static_cast<double>(row.own[e] * row.codes[e]);
    products.ones_gradient += static_cast<double>(row.own[e]);
  }
  products.codes_codes = WarpSum(products.codes_codes);
  products.codes_ones = WarpSum(products.codes_ones);
  products.codes_gradient = WarpSum(products.codes_gradient);
  products.ones_gradient = WarpSum(products.ones_gradient);
  const Grid present = row.grid;
  row.grid = RefitGrid(present, products);
  if (row.grid.scale == present.scale && row.grid.zero == present.zero) {
    return;
  }
  const float slope = row.grid.scale - present.scale;
  const float offset = present.scale * present.zero - row.grid.scale * row.grid.zero;
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    row.own[e] += slope * codes_gram[e] + offset * sums[at + e];
  }
}

/// One pass over the codes; false when none moved. Columns that stay change nothing, so the warp
/// goes from one that moves to the next.
template <int kGroup>
__device__ bool MoveCodes(const float* gram, RowGroup<kGroup>& row) {
  constexpr int kEach = kGroup / kWarp;
  const int at = threadIdx.x % kWarp * kEach;
  int from = 0;
  while (from < kGroup) {
    int mine = kGroup;
    float change = 0.0F;
#pragma unroll
    for (int e = kEach - 1; e >= 0; --e) {
      const float next = row.Next(e, gram[(at + e) * kGroup + at + e]);
      if (at + e >= from && next != row.codes[e]) {
        mine = at + e;
        change = next - row.codes[e];
      }
    }
    const unsigned moving = __ballot_sync(kAllLanes, mine < kGroup);
    if (moving == 0U) {
      break;
    }
    const int lane = __ffs(static_cast<int>(moving)) - 1;
    const int column = __shfl_sync(kAllLanes, mine, lane);
    change = __shfl_sync(kAllLanes, change, lane);
    const float step = change * row.grid.scale;
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      row.own[e] += gram[column * kGroup + at + e] * step;
      row.codes[e] += at + e == column ? change : 0.0F;
    }
    from = column + 1;
  }
  return from > 0;
}

template <int kGroup>
__global__ void __launch_bounds__(kThreads)
    RefineKernel(GroupedRows shape, RefinedGroup group, bool refit, CodedRows rows) {
  constexpr int kEach = kGroup / kWarp;
  extern __shared__ float gram[];  // [kGroup, kGroup], then kWarps rows of codes
  float* spread = gram + kGroup * kGroup + threadIdx.x / kWarp * kGroup;
  const std::int64_t first = group.index * kGroup;
  for (int i = threadIdx.x; i < kGroup * kGroup; i += kThreads) {
    gram[i] = group.gram[(first + i / kGroup) * shape.width + first + i % kGroup];
  }
  __syncthreads();
  const int at = threadIdx.x % kWarp * kEach;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kWarps;
  for (std::int64_t r = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
       r < shape.rows; r += step) {
    const std::int64_t cell = r * shape.groups() + group.index;
    const std::int64_t place = r * shape.width + first + at;
    RowGroup<kGroup> row;
    row.grid = {rows.scales[cell], rows.zeros[cell]};
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      row.codes[e] = static_cast<float>(rows.codes[place + e]);
      row.own[e] = group.gradient[r * kGroup + at + e];
    }
    if (refit) {
      Refit<kGroup>(gram, group.gram_sums + first, group.gram_totals[group.index], spread, row);
    }
    for (int pass = 0; pass < kPasses && MoveCodes<kGroup>(gram, row); ++pass) {
    }
    if (at == 0) {
      rows.scales[cell] = row.grid.scale;
      rows.zeros[cell] = row.grid.zero;
    }
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      rows.codes[place + e] = static_cast<std::uint8_t>(row.codes[e]);
      rows.errors[place + e] =
          (row.codes[e] - row.grid.zero) * row.grid.scale - group.weights[place + e];
    }
  }
}

template <int kGroup>
void Launch(GroupedRows shape, const RefinedGroup& group, bool refit, CodedRows rows,
            cudaStream_t stream) {
  constexpr int kBytes = (kGroup * kGroup + kWarps * kGroup) * static_cast<int>(sizeof(float));
  cudaFuncSetAttribute(RefineKernel<kGroup>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  const int blocks = min(Blocks(shape.rows, kWarps), kMostBlocks);
  RefineKernel<kGroup><<<blocks, kThreads, kBytes, stream>>>(shape, group, refit, rows);
}

}  // namespace

void RefineGroup(GroupedRows shape, const RefinedGroup& group, bool refit, CodedRows rows,
                 cudaStream_t stream) {
  switch (shape.group) {
    case 32:
      Launch<32>(shape, group, refit, rows, stream);
      break;
    case 64:
      Launch<64>(shape, group, refit, rows, stream);
      break;
    default:
      Launch<128>(shape, group, refit, rows, stream);
      break;
  }
}

}  // namespace tyllm::cuda
