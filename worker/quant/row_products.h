// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/tensor/matrix.h"

namespace tyllm::quant {

/// Rows of a weight matrix that one task treats: enough to make a product with a Gram matrix worth
/// reading it, few enough for many threads. Results depend on it, so it is a constant.
inline constexpr std::int64_t kTileRows = 64;

/// out[r] = e_r G e_r^T for the rows of e [rows, gram.rows]; plain sums of squares when `gram` has
/// no rows. `scratch` grows as needed.
void QuadraticForms(const float* e, std::int64_t rows, tensor::MatrixView gram,
                    std::vector<float>& scratch, std::span<double> out);

/// Mean squares of the inputs; empty when `gram` has no rows.
std::vector<float> Diagonal(tensor::MatrixView gram);

}  // namespace tyllm::quant
