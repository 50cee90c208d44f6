// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace tyllm::testing {

/// What several disks of one machine hang on: after `healthy` changes of any of them nothing works
/// any more. Threads: any.
class Power {
 public:
  explicit Power(int healthy) : left_(healthy) {}

  /// Takes one change; false when the power is gone.
  bool Use() { return left_.fetch_sub(1) > 0; }

  bool gone() const { return left_ <= -1; }

 private:
  std::atomic<int> left_;
};

}  // namespace tyllm::testing
