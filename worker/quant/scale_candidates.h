// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/enum_table.h"
#include "worker/tensor/matrix.h"

namespace tyllm::quant {

/// How the scales of a group's input channels are made from calibration and weights.
enum class ScaleFormula : std::uint8_t {
  kIdentity,    ///< 1
  kActivation,  ///< x^r
  kDuo,         ///< x^r / (w^(1-r) + 1e-4): AutoAWQ's duo scaling
};

inline constexpr EnumTable<ScaleFormula, 3> kScaleFormulaNames(
    "scale formula", {{{ScaleFormula::kIdentity, "identity"},
                       {ScaleFormula::kActivation, "activation"},
                       {ScaleFormula::kDuo, "duo"}}});

constexpr const auto& NamesOf(ScaleFormula) {
  return kScaleFormulaNames;
}

/// Scales by which the input channels of some linear layers are multiplied, their producer divided.
struct ScaleCandidate {
  ScaleFormula formula = ScaleFormula::kIdentity;
  double ratio = 0.0;         ///< r
  std::vector<float> scales;  ///< one an input column; finite and positive
};

/// Mean over all rows of all matrices of |w| / (largest |w| of its group + 1e-6), for each column.
std::vector<float> MeanRelativeWeight(std::span<const tensor::MatrixView> weights,
                                      std::int64_t group);

/// The identity first, then both formulas at ratios 0, 0.05, ... 1 (without what equals the
/// identity), each divided by sqrt(largest * smallest). `mean_abs`: mean |x| of each column over
/// the calibration tokens. Columns of one producer channel get the geometric mean of their scales:
/// channel[c] in [0, channels) is the producer's channel of column c.
std::vector<ScaleCandidate> MakeScaleCandidates(std::span<const float> mean_abs,
                                                std::span<const float> mean_weight,
                                                std::span<const std::int64_t> channel,
                                                std::int64_t channels);

}  // namespace tyllm::quant
