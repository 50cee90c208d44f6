// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/output_place.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace tyllm::quant {

namespace {

namespace fs = std::filesystem;

/// As the file system names it, links followed; without a slash at its end.
Path RealPath(const Path& path) {
  std::error_code error;
  const Path absolute = fs::absolute(path, error);
  const Path real = fs::weakly_canonical(error ? path : absolute, error);
  const Path named = error ? path.lexically_normal() : real;
  return named.has_filename() ? named : named.parent_path();
}

}  // namespace

Status CheckOutputPlace(const Path& model, const Path& out) {
  const Path outer = RealPath(model);
  const Path inner = RealPath(out);
  if (std::ranges::mismatch(outer, inner).in1 != outer.end()) {
    return OkStatus();
  }
  return InvalidArgument("the output folder " + out.string() + " lies in the model directory " +
                         model.string() +
                         ", expected a folder outside of it; choose another output folder");
}

}  // namespace tyllm::quant
