// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>

#include "common/base/guarded.h"
#include "common/base/raw_vector.h"
#include "common/base/status.h"

namespace tyllm::compile {

/// Bytes of a file that several threads make in pieces and that must be taken in order. Who made
/// the next piece takes it there at once, while it is in its cache, and with it those that wait
/// behind it; who is early leaves a piece behind and makes another. Threads: any.
class PiecesInOrder {
 public:
  using Bytes = RawVector<std::byte>;

  /// `take` gets the pieces 0, 1, 2, ...: one thread at a time. Nobody begins a piece that is
  /// `ahead` or more after the next one.
  PiecesInOrder(std::int64_t ahead, std::function<Status(Bytes)> take)
      : ahead_(ahead), take_(std::move(take)) {}

  /// Waits until piece `number` may be made. False: something failed, and nothing more is taken.
  /// Threads begin pieces in order, and end or fail what they began before they begin another.
  bool Begin(std::int64_t number);
  void End(std::int64_t number, Bytes piece);
  /// The piece that was begun cannot be made.
  void Fail(Status status);
  /// The first error.
  Status status();

 private:
  struct State {
    std::int64_t next = 0;
    bool is_taking = false;
    std::map<std::int64_t, Bytes> early;
    Status status;
  };

  const std::int64_t ahead_;
  const std::function<Status(Bytes)> take_;
  Guarded<State> state_;
};

}  // namespace tyllm::compile
