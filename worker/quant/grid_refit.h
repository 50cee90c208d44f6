// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/quant/affine_grid.h"

namespace tyllm::quant {

/// What a row's error is as a function of one group's scale and zero point, the codes c fixed:
/// products with the group's block G of the Gram matrix, of c, of a vector of ones, and of the
/// gradient p (the row's errors times G, on the group's columns).
struct GroupProducts {
  double codes_codes = 0.0;  ///< c G c
  double codes_ones = 0.0;   ///< c G 1
  double ones_ones = 0.0;    ///< 1 G 1
  double codes_gradient = 0.0;
  double ones_gradient = 0.0;
};

/// The grid with which the row's error is smallest, among those whose scale is a number of fp16
/// between half and twice the present one, with the present zero point or one of the two nearest
/// to the best real one. The present grid when none is better.
AffineGrid RefitGrid(AffineGrid present, const GroupProducts& products);

}  // namespace tyllm::quant
