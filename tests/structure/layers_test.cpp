// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>

#include "tests/structure/source_tree.h"
#include "tests/support/paths.h"

namespace tyllm::testing {
namespace {

// The rule that holds for a file is that of the longest listed folder above it.
using Layers = std::map<std::string, std::set<std::string>>;

Layers ReadLayers() {
  Layers layers;
  std::ifstream in(std::string(testing::kSourceFolder) + "/cmake/layers.txt");
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(':');
    if (line.empty() || line.front() == '#' || colon == std::string::npos) {
      continue;
    }
    std::set<std::string>& allowed = layers[line.substr(0, colon)];
    std::istringstream rest(line.substr(colon + 1));
    for (std::string folder; rest >> folder;) {
      allowed.insert(folder);
    }
  }
  return layers;
}

std::optional<std::string> LayerOf(const Layers& layers, std::string folder) {
  while (!folder.empty()) {
    if (layers.contains(folder)) {
      return folder;
    }
    const std::size_t slash = folder.rfind('/');
    folder = slash == std::string::npos ? "" : folder.substr(0, slash);
  }
  return std::nullopt;
}

// The folder that an include line of ours points to; nothing for system and library headers.
std::optional<std::string> IncludedFolder(const std::string& line) {
  constexpr std::string_view kStart = "#include \"";
  if (!line.starts_with(kStart)) {
    return std::nullopt;
  }
  std::string path = line.substr(kStart.size(), line.find('"', kStart.size()) - kStart.size());
  if (path.find(".pb.h") != std::string::npos) {
    return "proto";
  }
  return path.substr(0, path.rfind('/'));
}

TEST(Layers, EveryIncludeIsAllowed) {
  const Layers layers = ReadLayers();
  ASSERT_GT(layers.size(), 20U);
  int includes = 0;
  for (const SourceFile& file : ProductSources()) {
    const auto own = LayerOf(layers, file.folder);
    ASSERT_TRUE(own.has_value()) << file.path
                                 << " is in a folder that cmake/layers.txt does not list";
    for (const std::string& line : file.lines) {
      const auto folder = IncludedFolder(line);
      if (!folder) {
        continue;
      }
      ++includes;
      const auto layer = *folder == "proto" ? folder : LayerOf(layers, *folder);
      ASSERT_TRUE(layer.has_value()) << file.path << ": " << line;
      EXPECT_TRUE(*layer == *own || layers.at(*own).contains(*layer))
          << file.path << ": " << *own << " may not include " << *layer << ": " << line;
    }
  }
  EXPECT_GT(includes, 50);
}

TEST(Layers, TheRulesHaveNoCycle) {
  // Takes away, again and again, the folders all of whose allowed folders are gone; a cycle stays.
  Layers left = ReadLayers();
  for (bool changed = true; changed;) {
    changed = false;
    for (auto it = left.begin(); it != left.end();) {
      const bool free = std::none_of(it->second.begin(), it->second.end(),
                                     [&](const auto& below) { return left.contains(below); });
      changed = changed || free;
      it = free ? left.erase(it) : std::next(it);
    }
  }
  EXPECT_TRUE(left.empty()) << left.begin()->first << " is part of a cycle";
}

TEST(Layers, ServerWorkerAndClientNeverMeet) {
  for (const auto& [layer, allowed] : ReadLayers()) {
    const std::string tree = layer.substr(0, layer.find('/'));
    for (const std::string& below : allowed) {
      const std::string other = below.substr(0, below.find('/'));
      EXPECT_TRUE(other == tree || other == "common" || other == "proto")
          << layer << " -> " << below;
    }
  }
}

}  // namespace
}  // namespace tyllm::testing
