// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/whole_object.h"

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "common/base/mapped_file.h"

namespace tyllm::simulator {

namespace {

/// A structure at `offset`; zeros where the file ends before it does.
template <typename T>
T At(std::span<const std::byte> bytes, std::uint64_t offset) {
  T out{};
  if (offset <= bytes.size() && bytes.size() - offset >= sizeof(T)) {
    std::memcpy(&out, bytes.data() + offset, sizeof(T));
  }
  return out;
}

std::uint64_t End(std::uint64_t offset, std::uint64_t bytes) {
  const std::uint64_t end = offset + bytes;
  return end < offset ? UINT64_MAX : end;
}

/// How long the file has to be.
std::uint64_t BytesOfObject(std::span<const std::byte> bytes) {
  const auto header = At<Elf64_Ehdr>(bytes, 0);
  std::uint64_t end =
      std::max(End(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(Elf64_Phdr)),
               End(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr)));
  for (std::uint64_t i = 0; i < header.e_phnum && end <= bytes.size(); ++i) {
    const auto part = At<Elf64_Phdr>(bytes, header.e_phoff + i * sizeof(Elf64_Phdr));
    end = std::max(end, End(part.p_offset, part.p_filesz));
  }
  return end;
}

bool IsElf64(std::span<const std::byte> bytes) {
  return bytes.size() >= sizeof(Elf64_Ehdr) && std::memcmp(bytes.data(), ELFMAG, SELFMAG) == 0 &&
         std::to_integer<int>(bytes[EI_CLASS]) == ELFCLASS64;
}

}  // namespace

Status CheckWholeObject(const Path& path) {
  const Result<MappedFile> file = MappedFile::Open(path);
  if (!file.ok() || !IsElf64(file->bytes())) {
    return OkStatus();
  }
  const std::uint64_t expected = BytesOfObject(file->bytes());
  if (expected <= file->bytes().size()) {
    return OkStatus();
  }
  return FailedPrecondition(path.string() + " cannot be loaded: it has " +
                            std::to_string(file->bytes().size()) + " bytes, its header speaks of " +
                            std::to_string(expected) + "; fetch or compile the artifact again");
}

}  // namespace tyllm::simulator
