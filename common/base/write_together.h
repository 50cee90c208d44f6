// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm {

/// A file whose content is in memory.
struct SmallFile {
  Path path;
  std::string_view content;
};

/// Creates or replaces the files and makes their bytes durable, each or with an error of its own.
/// The disk's log is written once for many of them, not once for each: they are all on their way
/// before the first is waited for. Making the names durable is the caller's.
std::vector<Status> WriteTogether(FileSystem& files, std::span<const SmallFile> small);

}  // namespace tyllm
