// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace tyllm {

/// A fixed set of threads that compute together. The caller takes part. Results do not depend on
/// the number of threads as long as `body` writes only what belongs to its index.
class ThreadPool {
 public:
  /// `threads` of 0 means one a hardware thread (at most the CPUs this process may run on). Where
  /// the machine gives fewer, there are fewer.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();

  int threads() const;

  /// Calls body(i) once for each i in [0, count), on any thread, and returns when all are done. Not
  /// reentrant: a body does not call ParallelFor of the same pool. One caller at a time.
  void ParallelFor(std::int64_t count, const std::function<void(std::int64_t)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tyllm
