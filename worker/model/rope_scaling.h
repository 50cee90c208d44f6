// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tyllm::model {

/// Rope scaling "llama3", of Llama 3.1 and later: frequencies whose wavelength is long against the
/// positions that the model was first trained on are divided by `factor`, those of short ones are
/// kept, and those between are blended. Source: transformers, modeling_rope_utils.py.
struct Llama3Scaling {
  double factor = 1.0;                  ///< at least 1
  double low_frequency_factor = 1.0;    ///< more than 0
  double high_frequency_factor = 4.0;   ///< more than low_frequency_factor
  std::int64_t original_positions = 1;  ///< at least 1

  /// In float32, as the source computes it.
  float Scaled(float frequency) const;

  bool operator==(const Llama3Scaling&) const = default;
};

}  // namespace tyllm::model
