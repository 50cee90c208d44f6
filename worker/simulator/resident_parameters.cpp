// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/resident_parameters.h"

#include <algorithm>
#include <cstring>

#include "common/base/free_memory.h"
#include "common/base/parallel.h"

namespace tyllm::simulator {
namespace {

/// What a thread copies at once: whole huge pages.
constexpr std::size_t kPiece = std::size_t{8} << 20U;

void CopyPieces(ThreadPool& pool, std::span<const std::byte> from, std::byte* to) {
  const std::size_t pieces = (from.size() + kPiece - 1) / kPiece;
  pool.ParallelFor(static_cast<std::int64_t>(pieces), [&](std::int64_t piece) {
    const std::size_t begin = static_cast<std::size_t>(piece) * kPiece;
    std::memcpy(to + begin, from.data() + begin, std::min(kPiece, from.size() - begin));
  });
}

}  // namespace

Result<ResidentParameters> ResidentParameters::Copy(
    std::span<const std::span<const std::byte>> files) {
  ResidentParameters resident;
  std::size_t bytes = 0;
  for (const std::span<const std::byte> file : files) {
    bytes += file.size();
  }
  if (FreeMemory().value_or(0) / 2 < static_cast<std::int64_t>(bytes)) {
    return resident;
  }
  ThreadPool pool;
  for (const std::span<const std::byte> file : files) {
    if (file.empty() || resident.copies_.contains(file.data())) {
      continue;
    }
    TYLLM_ASSIGN(AlignedMemory copy, AlignedMemory::Allocate(file.size(), "a die's parameters"));
    CopyPieces(pool, file, copy.data());
    resident.copies_.emplace(file.data(), std::move(copy));
  }
  return resident;
}

const std::byte* ResidentParameters::At(const std::byte* mapped) const {
  const auto found = copies_.find(mapped);
  return found == copies_.end() ? mapped : found->second.data();
}

}  // namespace tyllm::simulator
