// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/chaos/chaos_farm.h"

namespace tyllm::testing {

/// Things go wrong at random, and most of them pass after a while. Which ones, in what order and
/// for how long follows from the seed; when exactly does not.
class Trouble {
 public:
  Trouble(ChaosFarm& farm, std::uint64_t seed) : farm_(farm), random_(seed) {}

  /// Ends what has lasted long enough; sometimes begins something.
  void Step();
  /// Ends everything.
  void End();

  /// How often each kind of trouble came.
  const std::map<std::string, int>& happened() const { return happened_; }

 private:
  using Time = std::chrono::steady_clock::time_point;

  std::int64_t Below(std::int64_t limit);
  std::chrono::milliseconds Between(int least_ms, int most_ms);
  void After(std::chrono::milliseconds time, std::function<void()> what);

  void KillServer();
  void FreezeServer();
  void KillWorker();
  void FreezeWorker();
  void HitJob();
  void JumpClock();
  void ChangeWeather();

  ChaosFarm& farm_;
  std::mt19937_64 random_;
  std::multimap<Time, std::function<void()>> later_;
  std::map<std::string, int> happened_;
};

}  // namespace tyllm::testing
