// SPDX-License-Identifier: Apache-2.0
#include "worker/model/passenger_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

namespace tyllm::model {

namespace {

namespace fs = std::filesystem;

/// What the frameworks of the hub write weights as.
constexpr std::array<std::string_view, 15> kWeightEndings = {
    ".safetensors", ".safetensors.index.json",
    ".bin",         ".bin.index.json",
    ".pt",          ".pth",
    ".ckpt",        ".h5",
    ".msgpack",     ".gguf",
    ".onnx",        ".onnx_data",
    ".npz",         ".tflite",
    ".ot"};

bool IsHidden(const Path& path) {
  return path.filename().string().starts_with('.');
}

bool HoldsWeights(const Path& path) {
  const std::string name = path.filename().string();
  return std::any_of(kWeightEndings.begin(), kWeightEndings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

}  // namespace

Result<std::vector<Path>> FindPassengerFiles(const Path& directory) {
  std::vector<Path> found;
  std::error_code error;
  fs::recursive_directory_iterator it(directory, error);
  while (!error && it != fs::recursive_directory_iterator()) {
    std::error_code ignored;
    // Links to files count as files: that is how the hub's cache keeps them.
    if (it->is_directory(ignored)) {
      if (IsHidden(it->path()) || fs::exists(it->path() / "config.json", ignored)) {
        it.disable_recursion_pending();
      }
    } else if (it->is_regular_file(ignored) && !IsHidden(it->path()) && !HoldsWeights(it->path())) {
      found.push_back(it->path().lexically_relative(directory));
    }
    it.increment(error);
  }
  if (error) {
    return FromErrno(error.value(), "listing " + directory.string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace tyllm::model
