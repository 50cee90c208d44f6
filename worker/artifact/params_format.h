// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "worker/artifact/params.h"

// Numbers of the format that the writer and the reader share.
namespace tyllm::artifact {

inline constexpr std::uint64_t kDictionaryMagic = 0xF7E58D4F05049CB7;
inline constexpr std::uint64_t kTensorMagic = 0xDD5E40F096B4A13F;
/// Magic, reserved, device (type, id), number of dimensions, element type, bytes of data.
inline constexpr std::uint64_t kTensorHeader = 8 + 8 + 4 + 4 + 4 + 4 + 8;
inline constexpr std::int32_t kCpuDevice = 1;
inline constexpr std::int32_t kMaxDimensions = 16;

/// DLPack's type: code (0 int, 1 uint, 2 float) and bits; always one lane.
struct DlType {
  std::uint8_t code;
  std::uint8_t bits;
};

/// By Element.
inline constexpr std::array<DlType, 5> kDlTypes{{{1, 8}, {1, 64}, {0, 32}, {2, 16}, {2, 32}}};

}  // namespace tyllm::artifact
