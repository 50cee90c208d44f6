// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tyllm::testing {

/// A file of the repository as text.
struct SourceFile {
  std::string path;    ///< relative to the repository, "common/base/status.h"
  std::string folder;  ///< "common/base"
  std::vector<std::string> lines;
};

/// Every .h, .cpp, .cu and .cuh of the product's four trees, in order of path.
std::vector<SourceFile> ProductSources();
/// The same of tests/.
std::vector<SourceFile> TestSources();

}  // namespace tyllm::testing
