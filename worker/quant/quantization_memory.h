// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/domain/task_options.h"
#include "worker/model/model_shape.h"

namespace tyllm::quant {

/// Bytes of memory that a quantization on a CPU needs at most, besides mapped files, whose pages
/// the system takes back as it needs them. Does not depend on the number of layers.
std::int64_t QuantizationMemory(const model::ModelShape& shape,
                                const domain::QuantizeOptions& options);

/// The most that this process had in memory so far.
std::int64_t PeakMemoryBytes();

}  // namespace tyllm::quant
