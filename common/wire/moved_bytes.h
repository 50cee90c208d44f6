// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "common/base/guarded.h"

namespace tyllm::wire {

/// How much of a tree has moved, of parts that move side by side. Whoever asked is told by one call
/// at a time. Threads: any.
class MovedBytes {
 public:
  /// (bytes done, bytes in all)
  using Progress = std::function<void(std::uint64_t, std::uint64_t)>;

  /// One part's bytes; for one thread.
  class Part {
   public:
    explicit Part(MovedBytes& whole) : whole_(whole) {}

    /// It has so many now; fewer than before when some must move again.
    void Set(std::uint64_t bytes) { whole_.Change(std::exchange(bytes_, bytes), bytes); }

    void Add(std::uint64_t bytes) { Set(bytes_ + bytes); }

   private:
    MovedBytes& whole_;
    std::uint64_t bytes_ = 0;
  };

  MovedBytes(std::uint64_t total, const Progress& progress) : total_(total), progress_(progress) {}

 private:
  void Change(std::uint64_t before, std::uint64_t now) {
    auto done = done_.Lock();
    *done += now - before;
    progress_(*done, total_);
  }

  const std::uint64_t total_;
  const Progress& progress_;
  Guarded<std::uint64_t> done_{0};
};

}  // namespace tyllm::wire
