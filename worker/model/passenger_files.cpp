// SPDX-License-Identifier: Apache-2.0
#include "worker/model/passenger_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/list_folder.h"
#include "common/base/real_path.h"

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

/// Where links of a model folder may lead: into the folder, and, where it is a snapshot of the
/// hub's cache, to the blobs beside the snapshots.
class Bounds {
 public:
  explicit Bounds(const Path& directory) : folder_(RealPath(directory)) {
    const Path snapshots = folder_.parent_path();
    if (snapshots.filename() == "snapshots") {
      blobs_ = snapshots.parent_path() / "blobs";
    }
  }

  /// Whether what `path` really is may travel with the model.
  bool Holds(const Path& path) const {
    const Path real = RealPath(path);
    return IsWithin(real, folder_) || (!blobs_.empty() && IsWithin(real, blobs_));
  }

 private:
  /// Below `folder`, through nothing that is hidden.
  static bool IsWithin(const Path& real, const Path& folder) {
    const Path inside = real.lexically_relative(folder);
    return !inside.empty() && *inside.begin() != ".." &&
           std::ranges::none_of(inside, [](const Path& part) {
             return part != "." && part.string().starts_with('.');
           });
  }

  Path folder_;
  Path blobs_;
};

/// The names of the directory itself that a model cannot do without.
constexpr std::array<std::string_view, 2> kNeeded = {"config.json", "tokenizer.json"};

/// Goes through a folder and those in it, links followed but for one that leads to a folder that it
/// is in.
class Finder {
 public:
  explicit Finder(const Path& directory) : directory_(directory), bounds_(directory) {}

  Status Visit(const Path& within) {
    std::error_code error;
    const Path folder = within.empty() ? directory_ : directory_ / within;
    const Path real = fs::canonical(folder, error);
    if (error) {
      return FromErrno(error.value(), "listing " + folder.string());
    }
    if (std::ranges::find(open_, real) != open_.end()) {
      return OkStatus();
    }
    if (open_.size() == kDeepest || ++visited_ > kMostFolders) {
      return InvalidArgument(
          folder.string() + " is too much for a model directory (" + directory_.string() +
          "), expected folders at most " + std::to_string(kDeepest) + " deep and " +
          std::to_string(kMostFolders) + " in all, links followed; move it out of there");
    }
    open_.push_back(real);
    TYLLM_ASSIGN(const std::vector<Path> entries, ListFolder(folder));
    for (const Path& entry : entries) {
      TYLLM_TRY(Take(within / entry.filename(), entry));
    }
    open_.pop_back();
    return OkStatus();
  }

  std::vector<Path> Take() {
    std::sort(found_.begin(), found_.end());
    return std::move(found_);
  }

 private:
  static constexpr std::size_t kDeepest = 64;
  static constexpr int kMostFolders = 10'000;  ///< links may lead to one by many ways

  /// Links to files count as files: that is how the hub's cache keeps them. One that leads to
  /// somewhere else would carry a file into the output that is not of the model.
  Status Take(const Path& name, const Path& path) {
    std::error_code ignored;
    if (IsHidden(path) || !bounds_.Holds(path)) {
      return OkStatus();
    }
    if (fs::is_directory(path, ignored)) {
      return fs::exists(path / "config.json", ignored) ? OkStatus() : Visit(name);
    }
    if (fs::is_regular_file(path, ignored) && !HoldsWeights(path)) {
      found_.push_back(name);
    }
    return OkStatus();
  }

  const Path& directory_;
  Bounds bounds_;
  std::vector<Path> open_;  ///< real names of the folders that are being gone through
  int visited_ = 0;
  std::vector<Path> found_;
};

}  // namespace

Result<std::vector<Path>> FindPassengerFiles(const Path& directory) {
  Finder finder(directory);
  TYLLM_TRY(finder.Visit({}));
  return finder.Take();
}

std::vector<Path> FindLinksOut(const Path& directory) {
  const Bounds bounds(directory);
  const Result<std::vector<Path>> entries = ListFolder(directory);
  std::vector<Path> names;
  for (const Path& entry : entries.ok() ? *entries : std::vector<Path>()) {
    std::error_code ignored;
    if (!IsHidden(entry) && !HoldsWeights(entry) && fs::is_regular_file(entry, ignored) &&
        !bounds.Holds(entry)) {
      names.push_back(entry.filename());
    }
  }
  std::ranges::sort(names);
  return names;
}

Status CheckLinks(const Path& directory) {
  for (const Path& name : FindLinksOut(directory)) {
    if (std::ranges::find(kNeeded, name.string()) != kNeeded.end()) {
      return InvalidArgument((directory / name).string() +
                             " is a link that leads out of the model's folder, expected the file "
                             "itself, which belongs into the output; copy it");
    }
  }
  return OkStatus();
}

}  // namespace tyllm::model
