// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace tyllm::app {

/// "1.7 GB", "538 kB", "12 bytes": for tables that people read. Decimal, as disks are sold.
std::string HumanBytes(std::int64_t bytes);

/// "1.72 B", "29.4 M": a count of parameters.
std::string HumanCount(std::int64_t count);

}  // namespace tyllm::app
