// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/weight_cache.h"

#include <filesystem>

#include "common/base/digest.h"
#include "worker/compile/kernel_headers.h"
#include "worker/compile/weights.h"

namespace tyllm::compile {
namespace {

namespace fs = std::filesystem;

/// In the folder of compiled objects.
constexpr const char* kFolder = "weights";
constexpr const char* kParams = ".params";
constexpr const char* kDigest = ".sha256";

void UpdateRange(Sha256Stream& key, const plan::Range& range) {
  key.Update(std::to_string(range.begin) + '-' + std::to_string(range.end) + ' ');
}

}  // namespace

std::string WeightCache::KeyOf(const Preparation& preparation, const plan::Schedule& schedule) {
  Sha256Stream key;
  key.Update(preparation.model_digest + ' ' + KernelsDigest() + ' ' +
             preparation.toolchain.version + ' ' + std::to_string(kPackingVersion) + '\n');
  for (const PackedWeight& packed : PackedWeights(schedule)) {
    const plan::Weight& weight = *packed.weight;
    key.Update(packed.name + ' ' + std::string(plan::kWeightKindNames.Name(weight.kind)) + ' ' +
               std::to_string(weight.group) + ' ' + std::to_string(weight.exceptions) + ' ');
    UpdateRange(key, weight.rows);
    UpdateRange(key, weight.columns);
    key.Update("\n");
  }
  return key.Finish().Hex();
}

std::set<std::uint64_t> WeightCache::SizesIn(const Path& folder) {
  std::set<std::uint64_t> sizes;
  std::error_code error;
  if (folder.empty()) {
    return sizes;
  }
  for (const fs::directory_entry& found : fs::directory_iterator(folder / kFolder, error)) {
    std::error_code gone;
    const std::uintmax_t bytes = found.file_size(gone);
    if (!gone && found.path().extension() == kParams) {
      sizes.insert(bytes);
    }
  }
  return sizes;
}

Path WeightCache::PathOf(const std::string& key, const char* extension) const {
  return directory_ / (key + extension);
}

std::optional<std::string> WeightCache::Take(const std::string& key, const Path& to) {
  std::error_code error;
  const Path entry = PathOf(key, kParams);
  if (directory_.empty() || !fs::is_regular_file(entry, error)) {
    return std::nullopt;
  }
  const Result<std::string> digest = files_.Read(PathOf(key, kDigest));
  const Result<BlobId> found = DigestOfFile(entry);
  if (!digest.ok() || !found.ok() || found->sha256.Hex() != *digest) {
    return std::nullopt;  // somebody wrote into the file
  }
  fs::remove(to, error);
  fs::create_hard_link(entry, to, error);
  if (error) {
    return std::nullopt;
  }
  used_.insert(key);
  return *digest;
}

void WeightCache::Keep(const std::string& key, const Path& file, const std::string& sha256) {
  if (directory_.empty() || !files_.CreateDirectories(directory_).ok()) {
    return;
  }
  std::error_code error;
  const Path entry = PathOf(key, kParams);
  if (!files_.RemoveAll(entry).ok()) {
    return;
  }
  fs::create_hard_link(file, entry, error);
  if (error) {
    return;  // on another file system than the models
  }
  if (!WriteFileAtomically(files_, PathOf(key, kDigest), sha256).ok()) {
    (void)files_.RemoveAll(entry);
    return;
  }
  used_.insert(key);
}

void WeightCache::Prune() {
  std::error_code error;
  if (directory_.empty()) {
    return;
  }
  for (const fs::directory_entry& found : fs::directory_iterator(directory_, error)) {
    std::error_code gone;
    const std::string key = found.path().stem().string();
    const bool is_entry = found.path().extension() == kParams;
    if (found.path().extension() == kDigest && !fs::exists(PathOf(key, kParams), gone)) {
      fs::remove(found.path(), gone);
    }
    if (is_entry && !used_.contains(key) && found.hard_link_count(gone) == 1 && !gone) {
      fs::remove(PathOf(key, kDigest), gone);  // tidying up, not a change that anything waits for
      fs::remove(found.path(), gone);
    }
  }
}

}  // namespace tyllm::compile
