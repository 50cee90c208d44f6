// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/format/safetensors.h"

namespace tyllm::model {

/// Scales in the order of the file as IEEE binary16, whatever their float type: F16 as they are,
/// others rounded to the nearest (which is what readers that compute in binary16 make of them).
/// kInvalidArgument when one is not finite or beyond binary16.
Result<std::vector<std::uint16_t>> ReadScales(const format::TensorView& tensor);

}  // namespace tyllm::model
