// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <span>

#include "worker/simulator/aligned_memory.h"

namespace tyllm::simulator {

/// Where a loaded model's parameters are while its programs run.
enum class Residency : std::uint8_t {
  kMapped,  ///< in the files: needs no memory of its own
  kCopied,  ///< in huge pages, which are read up to a third faster; in the files where memory is
            ///< too short for that
};

/// Copies of mapped files in huge pages.
class ResidentParameters {
 public:
  /// Copies `files`, all or (with less than twice their size free) none.
  static Result<ResidentParameters> Copy(std::span<const std::span<const std::byte>> files);

  /// Where to read what was mapped at `mapped`: the copy, or `mapped`.
  const std::byte* At(const std::byte* mapped) const;

 private:
  std::map<const std::byte*, AlignedMemory> copies_;
};

}  // namespace tyllm::simulator
