// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/grid_refit.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "common/format/float16.h"

namespace tyllm::quant {

namespace {

constexpr double kLeastRescale = 0.5;
constexpr double kMostRescale = 2.0;
/// Below this share of its largest possible value a determinant is taken for zero.
constexpr double kSingular = 1e-9;
constexpr double kLargestHalf = 65504.0;

/// Coded weights are slope * c + offset.
struct Line {
  double slope = 0.0;
  double offset = 0.0;
};

Line LineOf(AffineGrid grid) {
  return {grid.scale, -static_cast<double>(grid.scale) * grid.zero};
}

/// By how much the row's error grows.
double Growth(Line from, Line to, const GroupProducts& p) {
  const double slope = to.slope - from.slope;
  const double offset = to.offset - from.offset;
  return slope * slope * p.codes_codes + 2.0 * slope * offset * p.codes_ones +
         offset * offset * p.ones_ones +
         2.0 * (slope * p.codes_gradient + offset * p.ones_gradient);
}

/// The real zero point of the best line; the present one where there is no such line.
double BestZero(AffineGrid present, const GroupProducts& p) {
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

/// The best scale for a zero point, as fp16 holds it; 0 when there is none.
float BestScale(AffineGrid present, double zero, const GroupProducts& p) {
  const double square = p.codes_codes - 2.0 * zero * p.codes_ones + zero * zero * p.ones_ones;
  if (!(square > 0.0)) {
    return 0.0F;
  }
  const Line line = LineOf(present);
  const double linear = line.slope * (p.codes_codes - zero * p.codes_ones) +
                        line.offset * (p.codes_ones - zero * p.ones_ones) -
                        (p.codes_gradient - zero * p.ones_gradient);
  const double scale =
      std::clamp(linear / square, line.slope * kLeastRescale, line.slope * kMostRescale);
  return scale <= kLargestHalf ? format::HalfToFloat(format::FloatToHalf(static_cast<float>(scale)))
                               : 0.0F;
}

}  // namespace

AffineGrid RefitGrid(AffineGrid present, const GroupProducts& products) {
  const auto whole = [](double zero) {
    return std::clamp(zero, 0.0, static_cast<double>(kLargestCode));
  };
  const double best_zero = BestZero(present, products);
  const std::array<double, 3> zeros = {present.zero, whole(std::floor(best_zero)),
                                       whole(std::ceil(best_zero))};
  AffineGrid best = present;
  double best_growth = 0.0;
  for (const double zero : zeros) {
    const AffineGrid grid{BestScale(present, zero, products), static_cast<float>(zero)};
    const double growth = Growth(LineOf(present), LineOf(grid), products);
    if (grid.scale > 0.0F && growth < best_growth) {
      best = grid;
      best_growth = growth;
    }
  }
  return best;
}

}  // namespace tyllm::quant
