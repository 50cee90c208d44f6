// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/quant/code_tile.h"

namespace tyllm::quant {

/// How a group's grid is found.
enum class GridChoice : std::uint8_t {
  kMinMax,    ///< from the smallest to the largest weight
  kSearched,  ///< by the errors that remain
};

/// Rounds the columns of all rows one after another, each weight moved by what makes good the
/// errors of the columns before (GPTQ, arXiv 2210.17323, in the form of LDLQ, arXiv 2307.13304,
/// which needs no inverse). A group's grid is chosen when its turn comes, for the weights as they
/// are moved by then: of the candidates of affine_grid.h those with the smallest errors before
/// compensation inside the group are carried out, and the one that is best in the end is taken.
void RoundWithFeedback(CodeTile& tile, GridChoice choice);

}  // namespace tyllm::quant
