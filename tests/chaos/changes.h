// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/chaos/farm_client.h"
#include "tests/chaos/ledger.h"

namespace tyllm::testing {

/// Changes of jobs that a client asks for, each under an id and many of them more than once: whose
/// answer is lost is asked for again, and so are some whose answer came.
class Changes {
 public:
  Changes(Ledger& ledger, std::uint64_t seed) : ledger_(ledger), random_(seed) {}

  /// Updates a job, retries one or deletes one; or asks again for what was done already.
  void Step(FarmClient& client);
  /// Everything that was asked for is done, and is done once more.
  void Finish(FarmClient& client);

  /// How many of each kind were acknowledged.
  const std::map<std::string, int>& happened() const { return happened_; }

 private:
  struct Retry {
    std::string request_id;
    std::string job;
    std::string made;  ///< empty: no answer yet
  };

  struct Delete {
    std::string request_id;
    std::string job;
    bool done = false;
  };

  std::int64_t Below(std::int64_t limit);
  std::string NewId(const std::string& kind);
  std::optional<std::string> AnyOf(const std::vector<std::string>& jobs);

  void Update(FarmClient& client);
  void UpdateAgain(FarmClient& client);
  void BeginRetry(FarmClient& client);
  void BeginDelete(FarmClient& client);
  void Ask(FarmClient& client, Retry& retry);
  void Ask(FarmClient& client, Delete& one);

  Ledger& ledger_;
  std::mt19937_64 random_;
  std::int64_t asked_ = 0;
  std::vector<v1::UpdateJobRequest> updates_;  ///< that were acknowledged
  std::vector<Retry> retries_;
  std::vector<Delete> deletes_;
  std::map<std::string, int> happened_;
};

}  // namespace tyllm::testing
