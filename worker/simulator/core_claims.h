// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace tyllm::simulator {

/// Which cores the workers of one pass began on. Workers that meet every few microseconds must not
/// share a core: the kernel wakes a thread beside the one that woke it and moves it away only some
/// 50 ms later, while each phase costs a change of threads instead of a microsecond. Threads: any.
class CoreClaims {
 public:
  /// Called once by each worker when it begins. One that finds its core taken moves to a core that
  /// nobody has and that this thread may use, if there is one; where it may run stays as it was.
  /// Gives the core that is its own now, or -1 when it has to share.
  int Take();

 private:
  static constexpr std::size_t kWordBits = 64;
  static constexpr std::size_t kWords = 16;  // 1,024 cores, as many as a cpu_set_t has

  bool Claim(std::size_t core);

  std::array<std::atomic<std::uint64_t>, kWords> taken_ = {};
};

}  // namespace tyllm::simulator
