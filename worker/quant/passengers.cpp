// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/passengers.h"

#include <algorithm>

#include "common/base/mapped_file.h"

namespace tyllm::quant {

namespace {

Status CopyFile(FileSystem& files, const Path& from, const Path& to) {
  TYLLM_ASSIGN(const MappedFile source, MappedFile::Open(from));
  TYLLM_TRY(files.CreateDirectories(to.parent_path()));
  TYLLM_ASSIGN(const std::unique_ptr<OutputFile> target, files.Create(to));
  TYLLM_TRY(target->Append(source.bytes()));
  TYLLM_TRY(target->Sync());
  return target->Close();
}

}  // namespace

Status CopyPassengers(FileSystem& files, const Path& from, const Path& to,
                      std::span<const Path> names, std::span<const Path> except) {
  for (const Path& name : names) {
    if (std::ranges::find(except, name) == except.end()) {
      TYLLM_TRY(CopyFile(files, from / name, to / name));
    }
  }
  return OkStatus();
}

Status CheckPassengers(const Path& directory, std::span<const Path> names) {
  for (const Path& name : names) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(directory / name, ignored)) {
      return DataLoss((directory / name).string() + " is missing after it was copied");
    }
  }
  return OkStatus();
}

}  // namespace tyllm::quant
