// SPDX-License-Identifier: Apache-2.0
#include "tests/structure/source_tree.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <span>
#include <string_view>

#include "tests/support/paths.h"

namespace tyllm::testing {

namespace {

namespace fs = std::filesystem;

SourceFile Read(const fs::path& root, const fs::path& file) {
  SourceFile source;
  source.path = fs::relative(file, root).generic_string();
  source.folder = fs::path(source.path).parent_path().generic_string();
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    source.lines.push_back(line);
  }
  return source;
}

std::vector<SourceFile> SourcesUnder(std::span<const std::string_view> trees) {
  const std::set<fs::path> wanted = {".h", ".cpp", ".cu", ".cuh"};
  const fs::path root = testing::kSourceFolder;
  std::vector<SourceFile> sources;
  for (const std::string_view tree : trees) {
    for (const auto& entry : fs::recursive_directory_iterator(root / tree)) {
      if (entry.is_regular_file() && wanted.contains(entry.path().extension())) {
        sources.push_back(Read(root, entry.path()));
      }
    }
  }
  std::sort(sources.begin(), sources.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return sources;
}

}  // namespace

std::vector<SourceFile> ProductSources() {
  constexpr std::array<std::string_view, 4> kTrees = {"common", "server", "worker", "client"};
  return SourcesUnder(kTrees);
}

std::vector<SourceFile> TestSources() {
  constexpr std::array<std::string_view, 1> kTrees = {"tests"};
  return SourcesUnder(kTrees);
}

}  // namespace tyllm::testing
