// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/code_refinement.h"

#include <algorithm>
#include <cmath>

#include "worker/quant/grid_loops.h"
#include "worker/quant/grid_refit.h"
#include "worker/tensor/blas.h"

namespace tyllm::quant {

namespace {

/// Sweeps over the groups of a row; the fifth gains less than a thousandth.
constexpr int kSweeps = 4;
/// Passes over the codes of a group in each sweep.
constexpr int kPasses = 3;

class Refinement {
 public:
  Refinement(CodeTile& tile, bool refit_grids)
      : tile_(tile),
        refit_grids_(refit_grids),
        group_(tile.group()),
        width_(tile.width()),
        gradient_(static_cast<std::size_t>(tile.rows() * width_)),
        own_(static_cast<std::size_t>(tile.rows() * group_)),
        change_(own_.size()),
        codes_(own_.size()),
        codes_gram_(own_.size()),
        ones_(static_cast<std::size_t>(group_), 1.0F),
        ones_gram_(ones_.size()) {}

  void Run() {
    tensor::MultiplyTransposed({.rows = tile_.rows(), .columns = width_, .depth = width_},
                               {tile_.errors(), width_}, {tile_.metric().gram.data(), width_}, 1.0F,
                               0.0F, gradient_.data(), width_);
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      for (std::int64_t g = 0; g < tile_.groups(); ++g) {
        Improve(g);
      }
    }
  }

 private:
  /// The rows of G that belong to group g, and the block of them that is the group's alone.
  const float* GramRows(std::int64_t g) const {
    return tile_.metric().gram.data() + g * group_ * width_;
  }

  const float* GramBlock(std::int64_t g) const { return GramRows(g) + g * group_; }

  float* Own(std::int64_t r) { return &own_[static_cast<std::size_t>(r * group_)]; }

  void Improve(std::int64_t g) {
    for (std::int64_t r = 0; r < tile_.rows(); ++r) {
      std::copy_n(&gradient_[static_cast<std::size_t>(r * width_ + g * group_)], group_, Own(r));
      std::transform(tile_.Errors(r, g), tile_.Errors(r, g) + group_,
                     &change_[static_cast<std::size_t>(r * group_)], std::negate<>());
    }
    if (refit_grids_) {
      RefitGrids(g);
    }
    for (std::int64_t r = 0; r < tile_.rows(); ++r) {
      for (int pass = 0; pass < kPasses && MoveCodes(r, g); ++pass) {
      }
      float* change = &change_[static_cast<std::size_t>(r * group_)];
      std::transform(tile_.Errors(r, g), tile_.Errors(r, g) + group_, change, change,
                     std::plus<>());
    }
    tensor::AccumulateProduct({.rows = tile_.rows(), .columns = width_, .depth = group_},
                              {change_.data(), group_}, {GramRows(g), width_}, gradient_.data(),
                              width_);
  }

  void RefitGrids(std::int64_t g) {
    for (std::int64_t r = 0; r < tile_.rows(); ++r) {
      std::copy_n(tile_.Codes(r, g), group_, &codes_[static_cast<std::size_t>(r * group_)]);
    }
    tensor::MultiplyTransposed({.rows = tile_.rows(), .columns = group_, .depth = group_},
                               {codes_.data(), group_}, {GramBlock(g), width_}, 1.0F, 0.0F,
                               codes_gram_.data(), group_);
    for (std::int64_t i = 0; i < group_; ++i) {
      ones_gram_[static_cast<std::size_t>(i)] = Sum(GramBlock(g) + i * width_);
    }
    for (std::int64_t r = 0; r < tile_.rows(); ++r) {
      Refit(r, g);
    }
  }

  double Dot(const float* a, const float* b) const {
    return static_cast<double>(loops_.dot(a, b, group_));
  }

  float Sum(const float* a) const { return loops_.dot(a, ones_.data(), group_); }

  void Refit(std::int64_t r, std::int64_t g) {
    const float* codes = &codes_[static_cast<std::size_t>(r * group_)];
    const float* codes_gram = &codes_gram_[static_cast<std::size_t>(r * group_)];
    const AffineGrid present = tile_.Grid(r, g);
    const AffineGrid grid =
        RefitGrid(present, {.codes_codes = Dot(codes_gram, codes),
                            .codes_ones = Dot(ones_gram_.data(), codes),
                            .ones_ones = static_cast<double>(Sum(ones_gram_.data())),
                            .codes_gradient = Dot(Own(r), codes),
                            .ones_gradient = static_cast<double>(Sum(Own(r)))});
    if (grid == present) {
      return;
    }
    tile_.SetGrid(r, g, grid);
    const float slope = grid.scale - present.scale;
    const float offset = present.scale * present.zero - grid.scale * grid.zero;
    float* own = Own(r);
    for (std::int64_t i = 0; i < group_; ++i) {
      own[i] += slope * codes_gram[i] + offset * ones_gram_[static_cast<std::size_t>(i)];
    }
  }

  /// One pass over the group's codes; false when none of them moved. With d the move of one coded
  /// weight, the row's error changes by d^2 G_ii + 2 d own_i.
  bool MoveCodes(std::int64_t r, std::int64_t g) {
    const AffineGrid grid = tile_.Grid(r, g);
    const float* block = GramBlock(g);
    float* own = Own(r);
    bool moved = false;
    for (std::int64_t i = 0; i < group_; ++i) {
      const float step_gain = block[i * width_ + i] * grid.scale;
      if (!(std::fabs(own[i]) > 0.5F * step_gain) || !(step_gain > 0.0F)) {
        continue;
      }
      const auto code = static_cast<float>(tile_.Codes(r, g)[i]);
      const float next = std::clamp(code - std::nearbyint(own[i] / step_gain), 0.0F, kLargestCode);
      if (next == code) {
        continue;
      }
      tile_.SetCode(r, g, i, static_cast<std::uint8_t>(next));
      loops_.add_scaled(block + i * width_, (next - code) * grid.scale, group_, own);
      moved = true;
    }
    return moved;
  }

  const GridLoops& loops_ = GridLoopsForThisProcessor();
  CodeTile& tile_;
  bool refit_grids_;
  std::int64_t group_;
  std::int64_t width_;
  std::vector<float> gradient_;    ///< [rows, width]: errors times G
  std::vector<float> own_;         ///< [rows, group]: the gradient of the group at work
  std::vector<float> change_;      ///< [rows, group]: what its errors change by
  std::vector<float> codes_;       ///< [rows, group]
  std::vector<float> codes_gram_;  ///< [rows, group]
  std::vector<float> ones_;        ///< [group]
  std::vector<float> ones_gram_;   ///< [group]
};

}  // namespace

void RefineCodes(CodeTile& tile, bool refit_grids) {
  Refinement(tile, refit_grids).Run();
}

}  // namespace tyllm::quant
