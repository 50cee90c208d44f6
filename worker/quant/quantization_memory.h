// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/domain/task_options.h"
#include "worker/model/model_shape.h"

namespace tyllm::quant {

/// Bytes of memory that a quantization on a CPU needs at most, pages of mapped files included: they
/// are given back as soon as they were read. On a GPU the host needs no more than this and
/// Backend::host_bytes. Does not depend on the number of layers.
std::int64_t QuantizationMemory(const model::ModelShape& shape,
                                const domain::QuantizeOptions& options, std::int64_t threads);

/// The most that this program had in memory so far, pages of mapped files included.
std::int64_t PeakMemoryBytes();

}  // namespace tyllm::quant
