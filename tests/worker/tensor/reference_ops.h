// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "worker/tensor/backend.h"

namespace tyllm::tensor::testing {

/// MakeBackend, and "steady" as well.
Result<std::unique_ptr<Backend>> MakeNamed(std::string_view name, int threads);

/// Numbers in double, row-major, that an operation's result is compared with.
using Numbers = std::vector<double>;

/// Uniform in [-1, 1) from `seed`, the same on every machine.
Matrix RandomMatrix(std::int64_t rows, std::int64_t columns, std::uint64_t seed,
                    float scale = 1.0F);

// What each operation of Backend means, as plain loops in double.
Numbers ReferenceLinear(MatrixView x, MatrixView w, std::span<const float> bias);
Numbers ReferenceGram(MatrixView x, const Matrix& before);
Numbers ReferenceRmsNorm(MatrixView x, std::span<const float> weight, float epsilon);
Numbers ReferenceRope(MatrixView x, std::span<const std::int32_t> positions,
                      std::span<const float> frequencies, std::int64_t head_size);
Numbers ReferenceAttention(const AttentionShape& shape, MatrixView q, MatrixView k, MatrixView v);
Numbers ReferenceSiluMul(MatrixView gate, MatrixView up);
Numbers ReferenceLogSumExp(MatrixView x);
Numbers ReferenceKlDivergence(MatrixView p, MatrixView q);

/// Fails the running test when a number is off by more than absolute + relative * |expected|.
void ExpectNear(const Matrix& actual, const Numbers& expected, double absolute, double relative);

}  // namespace tyllm::tensor::testing
