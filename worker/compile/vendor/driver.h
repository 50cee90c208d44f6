// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace tyllm::compile {

/// The Python program that calls the vendor's compiler: `driver.py REQUEST.json`. It tells how far
/// it is and what went wrong in lines that begin with kVendorMark, followed by a JSON object; every
/// other line is the vendor's own.
std::string_view VendorDriver();

inline constexpr std::string_view kVendorMark = "@tyllm ";

}  // namespace tyllm::compile
