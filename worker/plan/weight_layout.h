// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "worker/plan/schedule.h"

namespace tyllm::plan {

/// Bytes of one row block of a packed matrix (docs/formats/packed-weights.md).
std::uint64_t RowBlockBytes(const Weight& weight);
/// Bytes of a weight in its file, matrices packed.
std::uint64_t WeightBytes(const Weight& weight);

}  // namespace tyllm::plan
