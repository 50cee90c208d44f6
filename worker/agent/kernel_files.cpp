// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/kernel_files.h"

#include <charconv>
#include <fstream>
#include <string>

namespace tyllm::agent {

namespace {

std::optional<std::int64_t> FirstNumber(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t:");
  if (start == std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_prefix(start);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

bool StartsWithKey(std::string_view line, std::string_view key) {
  return line.starts_with(key) &&
         (key.empty() ||
          (line.size() > key.size() && (line[key.size()] == ' ' || line[key.size()] == ':')));
}

// A line of /proc/self/cgroup is "<number>:<controllers>:<path>"; version 2 has no controllers.
std::optional<Path> FolderOf(const KernelRoots& roots, std::string_view line) {
  const std::size_t first = line.find(':');
  const std::size_t second = line.find(':', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string controllers =
      "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
  std::string_view path = line.substr(second + 1);
  path.remove_prefix(path.starts_with('/') ? 1 : 0);
  if (controllers == ",,") {
    return roots.cgroups / path;
  }
  return controllers.find(",memory,") != std::string::npos
             ? std::optional(roots.cgroups / "memory" / path)
             : std::nullopt;
}

}  // namespace

std::optional<std::int64_t> NumberIn(const Path& file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (StartsWithKey(line, key)) {
      return FirstNumber(std::string_view(line).substr(key.size()));
    }
  }
  return std::nullopt;
}

std::vector<Path> MemoryGroups(const KernelRoots& roots) {
  std::vector<Path> groups;
  std::ifstream in(roots.proc / "self/cgroup");
  for (std::string line; std::getline(in, line);) {
    auto folder = FolderOf(roots, line);
    // A container sees the path that its host knows, but its own group as the root.
    for (std::error_code error; folder; folder = folder->parent_path()) {
      Path plain = folder->has_filename() ? *folder : folder->parent_path();
      if (std::filesystem::is_directory(plain, error)) {
        groups.push_back(plain);
      }
      if (plain == roots.cgroups || plain == roots.cgroups / "memory") {
        break;
      }
    }
  }
  return groups;
}

}  // namespace tyllm::agent
