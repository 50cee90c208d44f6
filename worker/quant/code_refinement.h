// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/quant/code_tile.h"

namespace tyllm::quant {

/// Makes e G e^T of every row smaller by coordinate descent, some sweeps over the groups:
/// 1. the group's codes fixed, the scale (as fp16 holds it) and zero point that are best given the
///    errors of all other groups; only when `refit_grids`;
/// 2. grid and other codes fixed, for one code after another the one that is best.
/// No step makes a row worse.
void RefineCodes(CodeTile& tile, bool refit_grids);

}  // namespace tyllm::quant
