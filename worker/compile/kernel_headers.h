// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tyllm::compile {

/// A header that generated programs include, under the name by which they include it.
struct KernelHeader {
  std::string_view name;  ///< "worker/die/kernels.h"
  std::string_view text;
};

/// worker/die's kernel headers as they were when this program was built.
std::span<const KernelHeader> KernelHeaders();

/// One digest of all of them.
std::string KernelsDigest();

}  // namespace tyllm::compile
