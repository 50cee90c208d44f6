// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace tyllm {

/// Bytes that programs could still take without this machine swapping, as the kernel estimates
/// (MemAvailable); none where it does not say.
std::optional<std::int64_t> FreeMemory();

}  // namespace tyllm
