// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/kernels/device_math.cuh"
#include "worker/cuda/kernels/feedback.h"
#include "worker/cuda/kernels/grid_math.cuh"

namespace tyllm::cuda {

namespace {

constexpr int kThreads = 256;
/// Columns that a thread holds in registers.
constexpr int kHeld = 32;

/// Which of two scored things comes first: the smaller score, then the smaller number.
struct Scored {
  float score;
  int number;
};

__device__ Scored Better(Scored a, Scored b) {
  return b.score < a.score || (b.score == a.score && b.number < a.number) ? b : a;
}

/// The best among `lanes` neighbouring lanes.
template <int kLanes>
__device__ Scored BestOf(Scored mine) {
  for (int step = kLanes / 2; step > 0; step /= 2) {
    const Scored other{__shfl_xor_sync(kAllLanes, mine.score, step),
                       __shfl_xor_sync(kAllLanes, mine.number, step)};
    mine = Better(mine, other);
  }
  return mine;
}

/// A warp a row.
template <int kGroup>
__global__ void ChooseGridsKernel(GroupedRows shape, FeedbackGroup group, bool searched,
                                  float* targets, float* grids) {
  constexpr int kEach = kGroup / kWarp;
  const std::int64_t row = GlobalThread() / kWarp;
  const int lane = threadIdx.x % kWarp;
  if (row >= shape.rows) {
    return;
  }
  const std::int64_t first = group.index * kGroup;
  float target[kEach];
  float cost[kEach];
  float low = 0.0F;
  float high = 0.0F;
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    const int i = lane + e * kWarp;
    const float moved_by = group.index > 0 ? group.moved_by[row * kGroup + i] : 0.0F;
    target[e] = group.weights[row * shape.width + first + i] - moved_by;
    targets[row * kGroup + i] = target[e];
    cost[e] = group.cost[first + i];
    low = fminf(low, target[e]);
    high = fmaxf(high, target[e]);
  }
  low = WarpMin(low);
  high = WarpMax(high);
  // Lane l makes the candidates l and l + 32.
  const Grid mine = CandidateGrid(lane, low, high);
  const Grid later = CandidateGrid(min(lane + kWarp, kGridCandidates - 1), low, high);
  float scores[2] = {INFINITY, INFINITY};
  for (int k = 0; searched && k < kGridCandidates; ++k) {
    const Grid from = k < kWarp ? mine : later;
    const Grid grid{__shfl_sync(kAllLanes, from.scale, k % kWarp),
                    __shfl_sync(kAllLanes, from.zero, k % kWarp)};
    const float inverse = 1.0F / grid.scale;
    float score = 0.0F;
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const float error = ErrorOf(target[e], inverse, grid);
      score += cost[e] * (error * error);
    }
    score = WarpSum(score);
    if (lane == k % kWarp) {
      scores[k / kWarp] = score;
    }
  }
  float* out = grids + row * kGridLanes * 2;
  for (int place = 0; place < kGridLanes; ++place) {
    Scored best{0.0F, 0};
    if (searched) {
      best = BestOf<kWarp>(Better({scores[0], lane}, {scores[1], lane + kWarp}));
    }
    if (lane == best.number % kWarp) {
      const Grid grid = best.number < kWarp ? mine : later;
      out[place * 2] = grid.scale;
      out[place * 2 + 1] = grid.zero;
      scores[best.number / kWarp] = INFINITY;
    }
  }
}

/// What one column of one row becomes on one grid.
struct Decision {
  float error;     ///< coded - weight
  float residual;  ///< coded - moved weight
};

__device__ Decision Decide(float target, float weight, float inverse, Grid grid) {
  const float coded = (CodeOf(target, inverse, grid.zero) - grid.zero) * grid.scale;
  return {coded - weight, coded - target};
}

/// A thread a row and grid; the kGridLanes grids of a row are neighbours. Columns are taken kHeld
/// at a time: first what the errors of the earlier ones ask of all of them, then one after another.
template <int kGroup>
__global__ void __launch_bounds__(kThreads)
    CompensateKernel(GroupedRows shape, FeedbackGroup group, const float* targets,
                     const float* grids, CodedRows out) {
  extern __shared__ float feedback[];  // [kGroup, kGroup]
  const std::int64_t first = group.index * kGroup;
  for (int i = threadIdx.x; i < kGroup * kGroup; i += kThreads) {
    feedback[i] = group.feedback[(first + i / kGroup) * shape.width + first + i % kGroup];
  }
  __syncthreads();
  const int lane = threadIdx.x % kGridLanes;
  const std::int64_t there = GlobalThread() / kGridLanes;
  const std::int64_t row = min(there, shape.rows - 1);  // all threads take part in the shuffles
  const Grid grid{grids[(row * kGridLanes + lane) * 2], grids[(row * kGridLanes + lane) * 2 + 1]};
  const float inverse = 1.0F / grid.scale;
  const float* weights = group.weights + row * shape.width + first;
  float errors[kGroup];
  float score = 0.0F;
  for (int base = 0; base < kGroup; base += kHeld) {
    float held[kHeld];
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      held[i] = targets[row * kGroup + base + i];
    }
    for (int k = 0; k < base; ++k) {
      const float error = errors[k];
      const float* asks = feedback + k * kGroup + base;
#pragma unroll
      for (int i = 0; i < kHeld; ++i) {
        held[i] = __fmaf_rn(-error, asks[i], held[i]);
      }
    }
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      const Decision decision = Decide(held[i], weights[base + i], inverse, grid);
      score += group.cost[first + base + i] * (decision.residual * decision.residual);
      errors[base + i] = decision.error;
      const float* asks = feedback + (base + i) * kGroup + base;
#pragma unroll
      for (int m = i + 1; m < kHeld; ++m) {
        held[m] = __fmaf_rn(-decision.error, asks[m], held[m]);
      }
    }
  }
  const int best = BestOf<kGridLanes>({score, lane}).number;
  const int leader = threadIdx.x % kWarp / kGridLanes * kGridLanes + best;
  const Grid kept{__shfl_sync(kAllLanes, grid.scale, leader),
                  __shfl_sync(kAllLanes, grid.zero, leader)};
  const std::int64_t cell = row * shape.groups() + group.index;
  if (there < shape.rows && lane == 0) {
    out.scales[cell] = kept.scale;
    out.zeros[cell] = kept.zero;
  }
  for (int base = 0; base < kGroup; base += kGridLanes) {
    float mine = 0.0F;
    for (int i = 0; i < kGridLanes; ++i) {
      const float error = __shfl_sync(kAllLanes, errors[base + i], leader);
      mine = i == lane ? error : mine;
    }
    if (there < shape.rows) {
      const float weight = weights[base + lane];
      const float code = ClampCode(rintf((weight + mine) / kept.scale) + kept.zero);
      const std::int64_t at = row * shape.width + first + base + lane;
      out.codes[at] = static_cast<std::uint8_t>(code);
      out.errors[at] = (code - kept.zero) * kept.scale - weight;
    }
  }
}

template <int kGroup>
void LaunchCompensate(GroupedRows shape, const FeedbackGroup& group, const float* targets,
                      const float* grids, CodedRows out, cudaStream_t stream) {
  constexpr int kBytes = kGroup * kGroup * static_cast<int>(sizeof(float));
  cudaFuncSetAttribute(CompensateKernel<kGroup>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       kBytes);
  CompensateKernel<kGroup><<<Blocks(shape.rows * kGridLanes, kThreads), kThreads, kBytes, stream>>>(
      shape, group, targets, grids, out);
}

template <int kGroup>
void LaunchChoose(GroupedRows shape, const FeedbackGroup& group, bool searched, float* targets,
                  float* grids, cudaStream_t stream) {
  ChooseGridsKernel<kGroup><<<Blocks(shape.rows * kWarp, kThreads), kThreads, 0, stream>>>(
      shape, group, searched, targets, grids);
}

}  // namespace

void ChooseGrids(GroupedRows shape, const FeedbackGroup& group, bool searched, float* targets,
                 float* grids, cudaStream_t stream) {
  switch (shape.group) {
    case 32:
      LaunchChoose<32>(shape, group, searched, targets, grids, stream);
      break;
    case 64:
      LaunchChoose<64>(shape, group, searched, targets, grids, stream);
      break;
    default:
      LaunchChoose<128>(shape, group, searched, targets, grids, stream);
      break;
  }
}

void Compensate(GroupedRows shape, const FeedbackGroup& group, const float* targets,
                const float* grids, CodedRows out, cudaStream_t stream) {
  switch (shape.group) {
    case 32:
      LaunchCompensate<32>(shape, group, targets, grids, out, stream);
      break;
    case 64:
      LaunchCompensate<64>(shape, group, targets, grids, out, stream);
      break;
    default:
      LaunchCompensate<128>(shape, group, targets, grids, out, stream);
      break;
  }
}

}  // namespace tyllm::cuda
