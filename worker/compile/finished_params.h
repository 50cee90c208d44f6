// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "worker/artifact/manifest.h"

namespace tyllm::compile {

/// Parameter files of an unfinished folder that are complete, and what their bytes were when they
/// were written: <root>/unfinished_params/<file>.sha256. A run that resumes keeps a file only when
/// its bytes are still those. One thread.
class FinishedParams {
 public:
  /// Below the root; no part of the result.
  static constexpr const char* kFolder = "unfinished_params";

  FinishedParams(FileSystem& files, Path root) : files_(files), root_(std::move(root)) {}

  /// Another digest that `file` must have: that of a finished program's record.
  void Expect(const artifact::FileEntry& file) { expected_[file.path].insert(file.sha256); }

  /// `file` (relative) when it is there with `bytes`, and its digest is the one that is remembered
  /// and the one that every record names. Otherwise what is there is removed: it is to be made
  /// anew.
  Result<std::optional<artifact::FileEntry>> Find(const Path& file, std::uint64_t bytes);

  /// Remembers what was written a moment ago, under its final name.
  Status Keep(const artifact::FileEntry& file);

 private:
  Path DigestFile(const Path& file) const;

  FileSystem& files_;
  Path root_;
  std::map<std::string, std::set<std::string>> expected_;
};

}  // namespace tyllm::compile
