// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace tyllm::simulator {

/// The threads of an executor: the caller's and others, that begin together and wait for the next
/// work actively for a moment before they sleep. To wake a thread takes some hundred microseconds
/// where a core has to be woken as well, and a token has to be chosen between two runs.
class Crew {
 public:
  /// Makes a thread that calls its argument; throws when there is none to be had.
  using Start = std::function<std::jthread(std::function<void()>)>;

  /// Fewer threads than asked for where the system gives no more (limits of processes or memory).
  explicit Crew(int workers, const Start& start = StartThread);
  ~Crew();

  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  int workers() const { return static_cast<int>(others_.size()) + 1; }

  /// Calls work(w) for each w in [0, workers()), each on a thread of its own, the caller's among
  /// them, and returns when all are done. One caller at a time.
  void Run(const std::function<void(std::int64_t)>& work);

 private:
  static std::jthread StartThread(std::function<void()> work);
  void Serve(std::int64_t worker);

  const std::function<void(std::int64_t)>* work_ = nullptr;  ///< of this round; nullptr: the end
  alignas(64) std::atomic<std::uint32_t> round_ = 0;
  alignas(64) std::atomic<std::uint32_t> running_ = 0;
  std::vector<std::jthread> others_;
};

}  // namespace tyllm::simulator
