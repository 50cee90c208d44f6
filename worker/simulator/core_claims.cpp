// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/core_claims.h"

#include <sched.h>

#include <cstddef>

namespace tyllm::simulator {

bool CoreClaims::Claim(std::size_t core) {
  const std::uint64_t bit = std::uint64_t{1} << core % kWordBits;
  return (taken_[core / kWordBits].fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
}

int CoreClaims::Take() {
  const int here = ::sched_getcpu();
  cpu_set_t usable;
  if (here < 0 || here >= CPU_SETSIZE) {
    return -1;
  }
  if (Claim(static_cast<std::size_t>(here))) {
    return here;
  }
  if (::sched_getaffinity(0, sizeof(usable), &usable) != 0) {
    return -1;
  }
  for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &usable) && Claim(core)) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(core, &one);
      // Moves at once; a refusal leaves it where it is, which is slower and not wrong.
      (void)::sched_setaffinity(0, sizeof(one), &one);
      (void)::sched_setaffinity(0, sizeof(usable), &usable);
      return static_cast<int>(core);
    }
  }
  return -1;
}

}  // namespace tyllm::simulator
