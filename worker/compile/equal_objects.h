// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "worker/artifact/manifest.h"

namespace tyllm::compile {

/// Makes one file of programs of several dies that have the same bytes: hard links, which every
/// reader takes for files of their own. Where the file system knows none, they stay apart. Nothing
/// writes into a program: whoever makes one anew gives a new file its name.
Status LinkEqualObjects(FileSystem& files, const Path& root,
                        std::span<const artifact::FileEntry> entries);

/// Bytes that the files take together, linked ones once.
std::uint64_t BytesOnDisk(const Path& root, std::span<const artifact::FileEntry> entries);

}  // namespace tyllm::compile
