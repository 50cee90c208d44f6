// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace tyllm {

/// The version of every program of this project, "0.1.0+6f1d02c9a7b4": that of the top
/// CMakeLists.txt, and a digest of the sources that decide what tasks compute
/// (version.cmake). Programs of the same version give the same results, so it is a part of
/// what results are remembered by.
std::string_view Version();

}  // namespace tyllm
