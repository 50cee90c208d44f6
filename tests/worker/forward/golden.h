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

/// The largest absolute difference; both have the same number of elements.
float MaxDifference(const float* actual, const std::vector<float>& expected);

}  // namespace tyllm::forward::testing
