// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/format/safetensors.h"
#include "worker/forward/model.h"

namespace tyllm::forward::testing {

/// A tiny model and what an independent implementation computes with it (tests/data/goldens).
struct Golden {
  Path directory;
  Model model;
  format::SafetensorsFile file;

  static Golden Open(const std::string& name);

  std::vector<float> Floats(const std::string& tensor) const;
  std::vector<std::int32_t> Ids(const std::string& tensor) const;
};

/// A config.json as transformers 5 writes it from one as the hub has it, and the reverse.
format::Json InOtherForm(format::Json config);

/// The goldens' maker held its rotary frequencies in the 16-bit type of the weights (a PyTorch
/// model cast as a whole). A model loaded from a file has them in float32, so ours do.
std::vector<float> RoundedFrequencies(const Golden& golden);

/// The largest absolute difference; both have the same number of elements.
float MaxDifference(const float* actual, const std::vector<float>& expected);

}  // namespace tyllm::forward::testing
