// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/error_feedback.h"

#include <algorithm>
#include <array>

#include "worker/quant/grid_loops.h"
#include "worker/tensor/blas.h"

namespace tyllm::quant {

namespace {

struct ScoredGrid {
  float score = 0.0F;
  AffineGrid grid;
};

class FeedbackRounding {
 public:
  FeedbackRounding(CodeTile& tile, GridChoice choice)
      : tile_(tile),
        choice_(choice),
        group_(tile.group()),
        feedback_(static_cast<std::size_t>(tile.rows() * group_)),
        target_(static_cast<std::size_t>(group_)),
        errors_(static_cast<std::size_t>(group_)),
        lanes_(static_cast<std::size_t>(group_ * kGridLanes)) {}

  void Run() {
    for (std::int64_t g = 0; g < tile_.groups(); ++g) {
      ComputeFeedback(g);
      for (std::int64_t r = 0; r < tile_.rows(); ++r) {
        RoundGroup(r, g);
      }
    }
  }

 private:
  /// What the errors of the groups before ask of group g.
  void ComputeFeedback(std::int64_t g) {
    const std::int64_t first = g * group_;
    if (first == 0) {
      return;  // nothing yet: all zero
    }
    tensor::Multiply(
        {.rows = tile_.rows(), .columns = group_, .depth = first}, {tile_.errors(), tile_.width()},
        {tile_.metric().feedback.data() + first, tile_.width()}, feedback_.data(), group_);
  }

  void RoundGroup(std::int64_t r, std::int64_t g) {
    const float* w = tile_.Weights(r, g);
    const float* feedback = &feedback_[static_cast<std::size_t>(r * group_)];
    std::transform(w, w + group_, feedback, target_.begin(), std::minus<>());
    std::array<AffineGrid, kGridLanes> grids;
    FillGrids(g, grids);
    std::array<float, kGridLanes> steps{};
    std::array<float, kGridLanes> zeros{};
    std::array<float, kGridLanes> scores{};
    std::ranges::transform(grids, steps.begin(), &AffineGrid::scale);
    std::ranges::transform(grids, zeros.begin(), &AffineGrid::zero);
    const std::int64_t first = g * group_;
    const InputMetric& metric = tile_.metric();
    loops_.compensate({.target = target_.data(),
                       .weights = w,
                       .feedback = metric.feedback.data() + first * metric.width() + first,
                       .stride = metric.width(),
                       .cost = &metric.cost[static_cast<std::size_t>(first)],
                       .count = group_},
                      steps.data(), zeros.data(), lanes_.data(), scores.data());
    const auto best = std::ranges::min_element(scores) - scores.begin();
    for (std::size_t i = 0; i < errors_.size(); ++i) {
      errors_[i] = lanes_[i * kGridLanes + static_cast<std::size_t>(best)];
    }
    tile_.SetErrors(r, g, grids[static_cast<std::size_t>(best)], errors_);
  }

  void FillGrids(std::int64_t g, std::array<AffineGrid, kGridLanes>& grids) const {
    const WeightRange range = RangeOf(target_);
    switch (choice_) {
      case GridChoice::kMinMax:
        grids.fill(MinMaxGrid(range));
        return;
      case GridChoice::kSearched:
        break;
    }
    const float* cost = &tile_.metric().cost[static_cast<std::size_t>(g * group_)];
    std::array<ScoredGrid, kGridCandidates> candidates;
    std::ranges::transform(CandidateGrids(range), candidates.begin(), [&](AffineGrid grid) {
      return ScoredGrid{loops_.weighed_squares(target_.data(), cost, group_, grid.scale, grid.zero),
                        grid};
    });
    // stable: equal scores keep the order, so that results do not depend on the library's sort
    std::ranges::stable_sort(candidates, {}, &ScoredGrid::score);
    std::ranges::transform(std::span(candidates).first(kGridLanes), grids.begin(),
                           &ScoredGrid::grid);
  }

  const GridLoops& loops_ = GridLoopsForThisProcessor();
  CodeTile& tile_;
  GridChoice choice_;
  std::int64_t group_;
  std::vector<float> feedback_;  ///< [rows, group]
  std::vector<float> target_;    ///< [group]
  std::vector<float> errors_;    ///< [group]
  std::vector<float> lanes_;     ///< [group, kGridLanes]
};

}  // namespace

void RoundWithFeedback(CodeTile& tile, GridChoice choice) {
  FeedbackRounding(tile, choice).Run();
}

}  // namespace tyllm::quant
