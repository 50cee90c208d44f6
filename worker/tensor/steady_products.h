// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "worker/tensor/matrix_products.h"

namespace tyllm::tensor {

/// Products with the same bits on every machine: of a sum, each run of 256 products is a chain of
/// fused multiply-adds from 0 on, in order, and the runs are added up in order (ADR 0142). One
/// version for each instruction set; vectors go over columns, so their length makes no difference.
///
/// Those that this processor runs, the slowest first. The first one has no need of anything: where
/// a processor has no fused multiply-add it is made of float64, which takes a hundred times as
/// long.
std::span<const MatrixProducts* const> SteadyProducts();

}  // namespace tyllm::tensor
