// SPDX-License-Identifier: Apache-2.0
#include "common/base/thread_count.h"

#include <string>

namespace tyllm {

Status CheckThreadCount(std::string_view option, std::int64_t count) {
  constexpr std::int64_t kMost = 4096;
  if (count >= 0 && count <= kMost) {
    return OkStatus();
  }
  return InvalidArgument(std::string(option) + " is " + std::to_string(count) +
                         ", expected 0 (all CPUs) to " + std::to_string(kMost));
}

}  // namespace tyllm
