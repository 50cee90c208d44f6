// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"

namespace tyllm::testing {

/// The wall clock of processes that are started with environment(): off by what Set said last.
class ClockShift {
 public:
  explicit ClockShift(std::filesystem::path file) : file_(std::move(file)) {
    Set(std::chrono::nanoseconds(0));
  }

  void Set(std::chrono::nanoseconds shift) {
    shift_ = shift;
    const std::int64_t nanos = shift.count();
    // In place: the processes have it mapped.
    std::fstream out(file_, std::filesystem::exists(file_)
                                ? std::ios::in | std::ios::out | std::ios::binary
                                : std::ios::out | std::ios::binary);
    out.write(reinterpret_cast<const char*>(&nanos), sizeof(nanos));
  }

  std::chrono::nanoseconds shift() const { return shift_; }

  std::vector<std::string> environment() const {
    return {"CLOCK_SHIFT_FILE=" + file_.string(),
            "LD_PRELOAD=" + std::string(kProgramFolder) + "/../tests/libclock_shift_preload.so"};
  }

 private:
  const std::filesystem::path file_;
  std::chrono::nanoseconds shift_{0};
};

}  // namespace tyllm::testing
