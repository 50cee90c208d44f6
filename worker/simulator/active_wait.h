// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace tyllm::simulator {

/// Returns when `word` is no longer `value`: looks `spins` times, then sleeps until it is notified.
inline void WaitWhile(const std::atomic<std::uint32_t>& word, std::uint32_t value, int spins) {
  for (int spin = 0; spin < spins; ++spin) {
    if (word.load(std::memory_order_acquire) != value) {
      return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  while (word.load(std::memory_order_acquire) == value) {
    word.wait(value, std::memory_order_acquire);
  }
}

}  // namespace tyllm::simulator
