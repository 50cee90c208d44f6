// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "worker/compile/object_cache.h"
#include "worker/compile/preparation.h"

namespace tyllm::compile {

/// What compiling writes, in bytes. Equal objects and sources count once, as they lie on the disk.
struct DirectorySize {
  std::uint64_t model = 0;            ///< what is read: the model's files
  std::vector<std::uint64_t> common;  ///< [dies] common_die<d>.params
  std::uint64_t tower = 0;            ///< parameters and graphs of the visual tower
  std::uint64_t programs = 0;         ///< objects, sources, records and their tables
  std::uint64_t tokenizer = 0;        ///< and the model's other small files
  std::uint64_t tables = 0;           ///< the embedding, where it lies apart
  std::uint64_t around = 0;           ///< goldens and what describes the directory
  std::int64_t distinct_sources = 0;
  std::int64_t cached_sources = 0;  ///< of these

  std::uint64_t parameters() const;
  std::uint64_t total() const;
};

/// From headers and plans: of objects that the cache has not, and of texts, some percent off.
Result<DirectorySize> SizeOf(const Preparation& preparation, const ObjectCache& objects);

}  // namespace tyllm::compile
