// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"

namespace tyllm::client {

/// Milliseconds since 1970 of "2026-11-28", "2026-11-28 14:00" or "2026-11-28 14:00:30" (a T may
/// stand for the space), in local time or, with a Z behind it, UTC; or of "90s", "30m", "2h" or
/// "7d" before `now`.
Result<std::int64_t> ParseWhen(const std::string& text, std::int64_t now_unix_ms);

}  // namespace tyllm::client
