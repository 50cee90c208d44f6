// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <stop_token>
#include <utility>

#include "common/base/clock.h"
#include "common/base/status.h"

namespace tyllm::wire {

/// An error after which the same call may succeed.
bool WorthAnotherTry(const Status& status);

/// Repeats the transfer of one file, or of files that go together, until it succeeds, fails for
/// good, or nothing has moved for `patience`. What is new is movement: not what was there before a
/// try, and not what is sent again and again without arriving. One thread.
class TransferRetry {
 public:
  TransferRetry(const Clock& clock, Milliseconds patience, std::stop_token stop);

  /// The receiver has so many bytes, and a try to send the rest begins. The error of the try before
  /// when the patience is over.
  Status Begins(std::uint64_t arrived);
  /// The receiver has so many bytes.
  void Arrived(std::uint64_t bytes);
  /// Some bytes are on their way.
  void Sent();

  template <typename Transfer>
  Status Run(const Transfer& transfer) {
    do {
      failed_ = transfer();
    } while (IsWorthAPause());
    return Outcome();
  }

 private:
  /// After a try: whether there is another, before which it has paused.
  bool IsWorthAPause();
  Status Outcome() const;

  const Clock& clock_;
  Milliseconds patience_;
  std::stop_token stop_;
  std::uint64_t arrived_ = 0;
  Clock::Steady last_move_;
  Clock::Steady last_sent_{};
  bool has_sent_ = false;  ///< in this try
  int fruitless_ = 0;      ///< tries in a row that sent something, and nothing arrived
  Milliseconds pause_;
  Status failed_;
  bool over_ = false;
};

}  // namespace tyllm::wire
