// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/object_files.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include "common/base/list_folder.h"
#include "common/base/staging.h"

namespace tyllm::agent {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::hours kForgotten{24};  // then nobody writes an unfinished file any more

struct Object {
  fs::file_time_type used;
  std::int64_t bytes = 0;
  Path path;

  auto operator<=>(const Object& other) const {
    return std::tie(used, path) <=> std::tie(other.used, other.path);
  }
};

std::vector<Path> FilesOf(const Path& folder) {
  const auto found = ListFolder(folder);
  return found.ok() ? *found : std::vector<Path>();
}

// Without the object's digest it counts as absent, so that goes first.
void Remove(const Path& object) {
  (void)LocalFileSystem().RemoveAll(Path(object).replace_extension(".sha256"));
  (void)LocalFileSystem().RemoveAll(object);
}

std::vector<Object> ObjectsIn(const Path& folder) {
  std::vector<Object> objects;
  for (const Path& part : FilesOf(folder)) {
    for (const Path& path : FilesOf(part)) {
      std::error_code error;
      const Object object{fs::last_write_time(path, error),
                          static_cast<std::int64_t>(fs::file_size(path, error)), path};
      if (error) {
        continue;  // removed a moment ago
      }
      if (path.extension() == ".so") {
        objects.push_back(object);
      } else if (IsUnfinishedName(path.filename().string()) &&
                 fs::file_time_type::clock::now() - object.used > kForgotten) {
        (void)LocalFileSystem().RemoveAll(path);
      }
    }
  }
  return objects;
}

}  // namespace

std::int64_t PruneObjects(const Path& folder, std::int64_t limit) {
  std::vector<Object> objects = ObjectsIn(folder);
  std::sort(objects.begin(), objects.end());
  std::int64_t bytes = 0;
  for (const Object& object : objects) {
    bytes += object.bytes;
  }
  for (auto it = objects.begin(); it != objects.end() && bytes > limit; ++it) {
    Remove(it->path);
    bytes -= it->bytes;
  }
  return bytes;
}

}  // namespace tyllm::agent
