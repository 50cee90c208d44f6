// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace tyllm {

/// The version of every program of this project ("0.1.0"), from the top CMakeLists.txt.
std::string_view Version();

}  // namespace tyllm
