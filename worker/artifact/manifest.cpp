// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/manifest.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "common/base/digest.h"
#include "common/base/guarded.h"
#include "worker/artifact/layout.h"

namespace tyllm::artifact {

namespace fs = std::filesystem;

namespace {

std::string Unsealed() {
  return std::string(64, '0');
}

Status Broken(const Path& path, const std::string& why) {
  return DataLoss(path.string() + " " + why + "; compile the model again, or fetch it again");
}

}  // namespace

Status WriteManifest(FileSystem& files, const Path& root, Manifest manifest) {
  manifest.seal = Unsealed();
  const std::string text = format::PrettyJson(format::ToJson(manifest));
  manifest.seal = DigestOf(text).Hex();
  return WriteFileAtomically(files, root / kManifestFile,
                             format::PrettyJson(format::ToJson(manifest)));
}

Result<Manifest> ReadManifest(const Path& path) {
  TYLLM_ASSIGN(std::string text, LocalFileSystem().Read(path));
  TYLLM_ASSIGN(const format::Json json, format::ParseJson(text, path.string()));
  const auto version = json.is_object() ? json.find("version") : json.end();
  if (version != json.end() && version->is_number_integer() && *version != kManifestVersion) {
    return Broken(
        path, "has version " + version->dump() + ", expected " + std::to_string(kManifestVersion));
  }
  TYLLM_ASSIGN(Manifest manifest, format::FromJson<Manifest>(json, path.string()));
  const std::size_t seal = text.rfind(manifest.seal);
  if (manifest.seal.size() != Unsealed().size() || seal == std::string::npos) {
    return Broken(path, "has no seal");
  }
  text.replace(seal, manifest.seal.size(), Unsealed());
  if (DigestOf(text).Hex() != manifest.seal) {
    return Broken(path, "is not what was sealed: it was changed after it was written");
  }
  return manifest;
}

Result<FileEntry> DescribeFile(const Path& root, const Path& path) {
  TYLLM_ASSIGN(const BlobId blob, DigestOfFile(root / path));
  return FileEntry{path.generic_string(), blob.size, blob.sha256.Hex()};
}

Result<std::vector<Path>> ListFiles(const Path& root, std::span<const Path> except) {
  std::vector<Path> files;
  std::error_code error;
  fs::recursive_directory_iterator it(root, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code unreadable;
    if (!it->is_regular_file(unreadable)) {
      continue;
    }
    Path relative = it->path().lexically_relative(root);
    if (std::find(except.begin(), except.end(), relative) == except.end()) {
      files.push_back(std::move(relative));
    }
  }
  if (error) {
    return FromErrno(error.value(), "listing folder " + root.string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::string> DigestOfFiles(const Path& root, std::span<const Path> files, ThreadPool& pool,
                                  const std::function<void(std::uint64_t)>& read) {
  Guarded<std::function<void(std::uint64_t)>> guarded(read);
  const auto tell = [&](std::uint64_t bytes) {
    auto told = guarded.Lock();
    if (*told) {
      (*told)(bytes);
    }
  };
  std::vector<std::optional<Result<BlobId>>> ids(files.size());
  pool.ParallelFor(std::ssize(files), [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    ids[at].emplace(DigestOfFile(root / files[at], {}, tell));
  });
  Sha256Stream stream;
  for (std::size_t i = 0; i < files.size(); ++i) {
    TYLLM_ASSIGN(const BlobId id, *std::move(ids[i]));
    const FileEntry entry{files[i].generic_string(), id.size, id.sha256.Hex()};
    stream.Update(entry.path + '\0' + std::to_string(entry.bytes) + '\0' + entry.sha256 + '\n');
  }
  return stream.Finish().Hex();
}

}  // namespace tyllm::artifact
