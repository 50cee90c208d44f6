// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/artifact.h"

#include <algorithm>
#include <filesystem>

#include "worker/artifact/layout.h"
#include "worker/artifact/shard_fit.h"
#include "worker/die/abi.h"
#include "worker/model/families.h"

namespace tyllm::artifact {
namespace {

namespace fs = std::filesystem;

bool HasManifest(const Path& directory) {
  std::error_code error;
  return fs::is_regular_file(directory / kManifestFile, error);
}

/// "<N>die" folders of `directory` that have a manifest.
std::vector<Path> DieFolders(const Path& directory) {
  std::vector<Path> folders;
  for (std::int64_t dies = 1; dies <= domain::kMostDies; ++dies) {
    const Path folder = directory / DieFolder(dies);
    if (HasManifest(folder)) {
      folders.push_back(folder);
    }
  }
  return folders;
}

Result<Path> FindFolder(const Path& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return NotFound("there is no folder " + directory.string());
  }
  if (HasManifest(directory)) {
    return directory;
  }
  const std::vector<Path> folders = DieFolders(directory);
  if (folders.size() == 1) {
    return folders.front();
  }
  if (folders.empty()) {
    return NotFound(directory.string() + " is not a compiled model: neither it nor a <N>die " +
                    "folder in it has a " + std::string(kManifestFile) +
                    "; make one with `tyllm compile`");
  }
  return InvalidArgument(directory.string() + " holds several compiled models (" +
                         folders[0].filename().string() + ", " + folders[1].filename().string() +
                         "); name one of these folders");
}

Status Damaged(const Path& path, const std::string& why) {
  return DataLoss(path.string() + " " + why + "; compile the model again, or fetch it again");
}

Status CheckSize(const Path& directory, const FileEntry& entry) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(directory / entry.path, error);
  if (error) {
    return Damaged(directory / entry.path, "is missing");
  }
  if (bytes != entry.bytes) {
    return Damaged(directory / entry.path, "has " + std::to_string(bytes) +
                                               " bytes, manifest.json says " +
                                               std::to_string(entry.bytes));
  }
  return OkStatus();
}

/// Nothing that a manifest names may lie outside its folder.
bool StaysInside(const Path& path) {
  return path.is_relative() && !path.empty() &&
         std::none_of(path.begin(), path.end(), [](const Path& part) { return part == ".."; });
}

Status CheckManifest(const Path& directory, const Manifest& manifest) {
  const Path path = directory / kManifestFile;
  const bool is_sim = manifest.backend == kSimBackend;
  if (is_sim && manifest.toolchain.abi_version != die::kAbiVersion) {
    return FailedPrecondition(path.string() + ": the programs have ABI version " +
                              std::to_string(manifest.toolchain.abi_version) +
                              ", this tyllm runs version " + std::to_string(die::kAbiVersion) +
                              "; compile the model again");
  }
  for (const FileEntry& entry : manifest.files) {
    if (!StaysInside(entry.path)) {
      return Damaged(path, "names the file '" + entry.path + "', which is outside the folder");
    }
    TYLLM_TRY(CheckSize(directory, entry));
  }
  return OkStatus();
}

}  // namespace

bool IsArtifact(const Path& directory) {
  return HasManifest(directory) || !DieFolders(directory).empty();
}

Result<LabelledFolder> ReadLabel(const Path& directory) {
  LabelledFolder folder;
  TYLLM_ASSIGN(folder.directory, FindFolder(directory));
  TYLLM_ASSIGN(folder.manifest, ReadManifest(folder.directory / kManifestFile));
  TYLLM_TRY(CheckManifest(folder.directory, folder.manifest));
  return folder;
}

Result<Artifact> OpenArtifact(const Path& directory) {
  TYLLM_ASSIGN(LabelledFolder folder, ReadLabel(directory));
  Artifact artifact;
  artifact.directory = std::move(folder.directory);
  artifact.manifest = std::move(folder.manifest);
  if (artifact.manifest.backend != kSimBackend) {
    return FailedPrecondition(artifact.directory.string() + " was made by the toolchain '" +
                              artifact.manifest.backend +
                              "' for the silicon: the die simulator runs only what `tyllm compile "
                              "--target sim` makes");
  }
  TYLLM_ASSIGN(artifact.buffers, ReadBufferConfig(artifact.directory));
  const Path config = artifact.directory / kConfigFile;
  TYLLM_ASSIGN(const format::Json config_json, format::ReadJsonFile(config));
  TYLLM_ASSIGN(artifact.shape, model::ParseShape(config_json, config.string()));
  TYLLM_TRY(
      CheckShardFit(artifact.buffers, artifact.shape, artifact.directory / kBufferConfigFile));
  model::ChooseNames(artifact.shape, [&](const model::DecoderNames& names) {
    return names.layers == artifact.buffers.layers;
  });
  return artifact;
}

Status CheckFiles(const Artifact& artifact, domain::ProgressSink& progress) {
  const std::vector<FileEntry>& entries = artifact.manifest.files;
  std::int64_t total = 0;
  for (const FileEntry& entry : entries) {
    total += static_cast<std::int64_t>(entry.bytes);
  }
  std::int64_t done = 0;
  for (const FileEntry& entry : entries) {
    progress.Report({"check", done, total, "bytes", entry.path});
    TYLLM_ASSIGN(const FileEntry found, DescribeFile(artifact.directory, entry.path));
    if (found != entry) {
      return Damaged(artifact.directory / entry.path,
                     "has digest " + found.sha256 + ", manifest.json says " + entry.sha256);
    }
    done += static_cast<std::int64_t>(entry.bytes);
  }
  progress.Report({"check", total, total, "bytes", ""});
  const Path manifest(kManifestFile);
  TYLLM_ASSIGN(const std::vector<Path> files,
               ListFiles(artifact.directory, std::span(&manifest, 1)));
  for (const Path& file : files) {
    const auto is_file = [&](const FileEntry& e) { return e.path == file.generic_string(); };
    if (std::none_of(entries.begin(), entries.end(), is_file)) {
      return Damaged(artifact.directory / file, "is not in the manifest");
    }
  }
  return OkStatus();
}

}  // namespace tyllm::artifact
