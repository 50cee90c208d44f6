// SPDX-License-Identifier: Apache-2.0
#include "common/base/real_path.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace tyllm {

namespace fs = std::filesystem;

Path RealPath(const Path& path) {
  std::error_code error;
  const Path absolute = fs::absolute(path, error);
  const Path real = fs::weakly_canonical(error ? path : absolute, error);
  const Path named = error ? absolute.lexically_normal() : real;
  return named.has_filename() ? named : named.parent_path();
}

Result<Path> RealTarget(const Path& path) {
  Path real = RealPath(path);
  std::error_code error;
  for (Path part = real; part.has_relative_path(); part = part.parent_path()) {
    if (fs::is_symlink(fs::symlink_status(part, error))) {  // following it led nowhere
      return InvalidArgument("the link " + part.string() + " on the way to " + path.string() +
                             " leads nowhere, expected it to lead to something that exists; "
                             "choose another place to write to, or mend the link");
    }
  }
  return real;
}

bool LiesIn(const Path& path, const Path& folder) {
  const Path outer = RealPath(folder);
  const Path inner = RealPath(path);
  return std::ranges::mismatch(outer, inner).in1 == outer.end();
}

}  // namespace tyllm
