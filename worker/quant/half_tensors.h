// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/format/safetensors.h"
#include "worker/tensor/task_lanes.h"

namespace tyllm::quant {

/// kInvalidArgument naming the tensor when a number is not finite or its magnitude is beyond
/// `largest`; `why` says what cannot hold it.
Status CheckNumbers(std::string_view tensor, std::span<const float> numbers, float largest,
                    std::string_view why);

/// Numbers as fp16. What fp16 cannot hold is an error that names the tensor: readers of quantized
/// checkpoints compute in fp16, so another type would only move the overflow to them.
Result<std::vector<std::uint16_t>> ToHalf(std::string_view tensor, std::span<const float> numbers);

/// A float tensor of a file as fp16; the same bytes when it already is.
Result<std::vector<std::uint16_t>> ToHalf(std::string_view name, const format::TensorView& tensor,
                                          tensor::TaskLanes& lanes);

}  // namespace tyllm::quant
