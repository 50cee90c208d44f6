// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "common/format/float16.h"
#include "worker/quant/coded_linear.h"
#include "worker/quant/grid_codes.h"
#include "worker/quant/grid_loops.h"
#include "worker/quant/row_products.h"
#include "worker/tensor/blas.h"

namespace tyllm::quant {

namespace {

constexpr auto kCandidates = static_cast<std::int64_t>(kGridCandidates);

/// Rows whose candidates are scored by one product.
constexpr std::int64_t kScoredRows = 8;
/// How far a group's stored scale may move from the step that its codes were rounded with.
constexpr float kLeastRescale = 0.5F;
constexpr float kMostRescale = 2.0F;

/// What one group of one row is at the moment.
struct GroupChoice {
  AffineGrid grid;            ///< codes are rounded with it
  float stored_scale = 1.0F;  ///< and multiplied by this
};

struct Scratch {
  std::vector<float> candidates;  ///< [kScoredRows * kCandidates, group] errors
  std::vector<float> products;    ///< the same times G
  std::vector<float> cross;       ///< [rows, group]: errors of all other groups times G
  std::vector<float> own;         ///< [rows, group]: this group's errors times G
};

/// Up to kTileRows rows on their way to integers. `errors` always is coded - float weights.
class RowTile {
 public:
  RowTile(tensor::MatrixView weights, tensor::MatrixView gram, std::int64_t group,
          std::int64_t first_row)
      : gram_(gram),
        weights_(weights.data + first_row * weights.columns),
        width_(weights.columns),
        rows_(std::min(kTileRows, weights.rows - first_row)),
        group_(group),
        groups_(weights.columns / group),
        errors_(static_cast<std::size_t>(rows_ * width_)),
        choices_(static_cast<std::size_t>(rows_ * groups_)) {
    scratch_.candidates.resize(static_cast<std::size_t>(kScoredRows * kCandidates * group));
    scratch_.products.resize(scratch_.candidates.size());
    scratch_.cross.resize(static_cast<std::size_t>(rows_ * group));
    scratch_.own.resize(scratch_.cross.size());
  }

  std::int64_t rows() const { return rows_; }

  void Search() {
    std::fill(scratch_.cross.begin(), scratch_.cross.end(), 0.0F);
    for (std::int64_t g = 0; g < groups_; ++g) {
      ChooseGrids(g);
    }
    for (std::int64_t g = 0; g < groups_ && groups_ > 1; ++g) {
      ComputeCross(g);
      ChooseGrids(g);
    }
    for (std::int64_t g = 0; g < groups_; ++g) {
      ComputeCross(g);
      RescaleGroup(g);
    }
  }

  void TakeMinMax(std::int64_t row) {
    for (std::int64_t g = 0; g < groups_; ++g) {
      Take(row, g, MinMaxGrid(RangeOf(Weights(row, g))));
    }
  }

  void Errors(std::span<double> out, std::vector<float>& product) const {
    QuadraticForms(errors_.data(), rows_, gram_, product, out);
  }

  /// Gives the number of groups whose grid is narrower than their range.
  std::int64_t Store(std::int64_t first_row, model::QuantizedMatrix& matrix) const {
    std::int64_t narrowed = 0;
    for (std::int64_t r = 0; r < rows_; ++r) {
      for (std::int64_t g = 0; g < groups_; ++g) {
        const GroupChoice& choice = choices_[Cell(r, g)];
        StoreGroup(Weights(r, g), choice.grid, choice.stored_scale, first_row + r, g, matrix);
        narrowed += choice.grid.scale < MinMaxGrid(RangeOf(Weights(r, g))).scale ? 1 : 0;
      }
    }
    return narrowed;
  }

 private:
  std::size_t Cell(std::int64_t row, std::int64_t g) const {
    return static_cast<std::size_t>(row * groups_ + g);
  }

  std::span<const float> Weights(std::int64_t row, std::int64_t g) const {
    return {weights_ + row * width_ + g * group_, static_cast<std::size_t>(group_)};
  }

  float* ErrorsOf(std::int64_t row, std::int64_t g) {
    return errors_.data() + row * width_ + g * group_;
  }

  /// The block of G that belongs to group g alone.
  tensor::Tile GramBlock(std::int64_t g) const {
    return {gram_.data + g * group_ * width_ + g * group_, width_};
  }

  void Take(std::int64_t row, std::int64_t g, AffineGrid grid) {
    choices_[Cell(row, g)] = {grid, grid.scale};
    loops_.errors(Weights(row, g).data(), group_, grid.scale, grid.zero, ErrorsOf(row, g));
  }

  /// own = e_g G_gg; cross = (e G)_g - own.
  void ComputeCross(std::int64_t g) {
    tensor::MultiplyTransposed({.rows = rows_, .columns = group_, .depth = group_},
                               {errors_.data() + g * group_, width_}, GramBlock(g), 1.0F, 0.0F,
                               scratch_.own.data(), group_);
    tensor::MultiplyTransposed({.rows = rows_, .columns = group_, .depth = width_},
                               {errors_.data(), width_}, {gram_.data + g * group_ * width_, width_},
                               1.0F, 0.0F, scratch_.cross.data(), group_);
    for (std::size_t i = 0; i < scratch_.cross.size(); ++i) {
      scratch_.cross[i] -= scratch_.own[i];
    }
  }

  /// The best of all candidates for group g of each row, given `cross`.
  void ChooseGrids(std::int64_t g) {
    for (std::int64_t first = 0; first < rows_; first += kScoredRows) {
      const std::int64_t rows = std::min(kScoredRows, rows_ - first);
      std::array<std::array<AffineGrid, kCandidates>, kScoredRows> grids;
      for (std::int64_t r = 0; r < rows; ++r) {
        FillCandidates(first + r, g, grids[static_cast<std::size_t>(r)],
                       scratch_.candidates.data() + r * kCandidates * group_);
      }
      tensor::MultiplyTransposed({.rows = rows * kCandidates, .columns = group_, .depth = group_},
                                 {scratch_.candidates.data(), group_}, GramBlock(g), 1.0F, 0.0F,
                                 scratch_.products.data(), group_);
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::size_t best = BestCandidate(r, first + r);
        Take(first + r, g, grids[static_cast<std::size_t>(r)][best]);
      }
    }
  }

  void FillCandidates(std::int64_t row, std::int64_t g, std::array<AffineGrid, kCandidates>& grids,
                      float* errors) const {
    const std::span<const float> weights = Weights(row, g);
    grids = CandidateGrids(RangeOf(weights));
    for (const AffineGrid& grid : grids) {
      loops_.errors(weights.data(), group_, grid.scale, grid.zero, errors);
      errors += group_;
    }
  }

  /// `slot` counts rows of the scored ones, `row` of the tile.
  std::size_t BestCandidate(std::int64_t slot, std::int64_t row) const {
    const float* cross = scratch_.cross.data() + row * group_;
    std::size_t best = 0;
    float best_score = 0.0F;
    for (std::int64_t k = 0; k < kCandidates; ++k) {
      const std::int64_t at = (slot * kCandidates + k) * group_;
      const float* e = scratch_.candidates.data() + at;
      const float score = loops_.dot(scratch_.products.data() + at, e, group_) +
                          2.0F * loops_.dot(cross, e, group_);
      if (k == 0 || score < best_score) {
        best = static_cast<std::size_t>(k);
        best_score = score;
      }
    }
    return best;
  }

  /// Gives group g of each row, its codes fixed, the best stored scale.
  void RescaleGroup(std::int64_t g) {
    float* coded = scratch_.candidates.data();
    for (std::int64_t r = 0; r < rows_; ++r) {
      const std::span<const float> w = Weights(r, g);
      const float* e = ErrorsOf(r, g);
      for (std::int64_t i = 0; i < group_; ++i) {
        coded[r * group_ + i] = e[i] + w[static_cast<std::size_t>(i)];
      }
    }
    tensor::MultiplyTransposed({.rows = rows_, .columns = group_, .depth = group_}, {coded, group_},
                               GramBlock(g), 1.0F, 0.0F, scratch_.products.data(), group_);
    for (std::int64_t r = 0; r < rows_; ++r) {
      Rescale(r, g, coded + r * group_, scratch_.products.data() + r * group_);
    }
  }

  /// With d the group's coded weights and w its float ones, the row's error as a function of a
  /// factor a on d is a^2 dGd - 2 a (dGw - d cross) + the rest. Takes the best a that fp16 can
  /// store, if it is better than 1.
  void Rescale(std::int64_t row, std::int64_t g, const float* d, const float* d_gram) {
    GroupChoice& choice = choices_[Cell(row, g)];
    const std::span<const float> w = Weights(row, g);
    const float square = loops_.dot(d_gram, d, group_);
    const float linear = loops_.dot(d_gram, w.data(), group_) -
                         loops_.dot(scratch_.cross.data() + row * group_, d, group_);
    if (!(square > 0.0F)) {
      return;
    }
    const float best = std::clamp(linear / square, kLeastRescale, kMostRescale);
    const float scale = format::HalfToFloat(format::FloatToHalf(choice.stored_scale * best));
    const float a = scale / choice.stored_scale;
    const bool is_stored = a > 0.0F && scale <= kLargestWeight / kLargestCode;
    if (!is_stored || !(a * (a * square - 2.0F * linear) < square - 2.0F * linear)) {
      return;
    }
    choice.stored_scale = scale;
    float* e = ErrorsOf(row, g);
    for (std::int64_t i = 0; i < group_; ++i) {
      e[i] = d[i] * a - w[static_cast<std::size_t>(i)];
    }
  }

  const GridLoops& loops_ = GridLoopsForThisProcessor();
  tensor::MatrixView gram_;
  const float* weights_;
  std::int64_t width_;
  std::int64_t rows_;
  std::int64_t group_;
  std::int64_t groups_;
  std::vector<float> errors_;  ///< [rows, width]
  std::vector<GroupChoice> choices_;
  Scratch scratch_;
};

}  // namespace

CodedLinear SearchRanges(tensor::MatrixView weights, tensor::MatrixView gram, std::int64_t group,
                         tensor::TaskLanes& lanes) {
  CodedLinear coded;
  coded.matrix = EmptyQuantizedMatrix(weights.rows, weights.columns, group);
  coded.row_errors.resize(static_cast<std::size_t>(weights.rows));
  const std::int64_t tiles = (weights.rows + kTileRows - 1) / kTileRows;
  std::vector<std::int64_t> clipped(static_cast<std::size_t>(tiles));
  lanes.ForEach(tiles, [&](std::int64_t index, std::vector<float>& product) {
    const std::int64_t first = index * kTileRows;
    RowTile tile(weights, gram, group, first);
    const auto rows = static_cast<std::size_t>(tile.rows());
    const std::span<double> errors =
        std::span(coded.row_errors).subspan(static_cast<std::size_t>(first), rows);
    std::vector<double> plain(rows);
    for (std::int64_t r = 0; r < tile.rows(); ++r) {
      tile.TakeMinMax(r);
    }
    tile.Errors(plain, product);
    tile.Search();
    tile.Errors(errors, product);
    for (std::size_t r = 0; r < rows; ++r) {
      if (!(errors[r] < plain[r])) {
        tile.TakeMinMax(static_cast<std::int64_t>(r));
        errors[r] = plain[r];
      }
    }
    clipped[static_cast<std::size_t>(index)] = tile.Store(first, coded.matrix);
  });
  coded.clipped_groups = std::accumulate(clipped.begin(), clipped.end(), std::int64_t{0});
  coded.facts = DescribeCodes(weights, coded.matrix, Diagonal(gram), lanes);
  return coded;
}

}  // namespace tyllm::quant
