// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "common/base/guarded.h"
#include "tests/chaos/farm_client.h"

namespace tyllm::testing {

/// A worker in this process that remembers what it was promised: how many bytes of which log the
/// server said that it has. Takes only evaluations; those of jobs that ask for its label
/// come to nobody else. Sometimes it says nothing for
/// longer than a lease and then goes on as if nothing had been: a zombie.
class Scribe {
 public:
  /// (task, attempt).
  using Attempt = std::pair<std::string, int>;

  struct Memory {
    std::map<Attempt, std::int64_t> acknowledged;  ///< log bytes
    int finished = 0;                              ///< outcomes that were acknowledged
    int refused = 0;  ///< log bytes of attempts that were no longer its own
    int silences = 0;
  };

  Scribe(const std::string& server, std::uint64_t seed);

  ~Scribe() { Stop(); }

  /// Ends what it holds as well as it can. Idempotent.
  void Stop();

  Memory Remembers() const {
    auto view = memory_.Lock();
    return *view;
  }

  /// The byte that it writes at a place of a log.
  static char ByteAt(const Attempt& attempt, std::int64_t offset);
  /// A worker's label and a job's requirement: "label.scribe" is "yes".
  static constexpr const char* kLabel = "scribe";

 private:
  struct Work {
    std::int64_t size = 0;   ///< of the log, as far as the server has it
    std::int64_t until = 0;  ///< of the log, when the work is done
    bool done = false;
  };

  void Run();
  void Turn();
  v1::SyncRequest Request() const;
  void Write(const Attempt& attempt, Work& work);
  bool UploadOutput(const Attempt& attempt);
  std::int64_t Below(std::int64_t limit);

  FarmClient client_;
  std::mt19937_64 random_;
  const std::string session_;
  std::map<Attempt, Work> held_;
  mutable Guarded<Memory> memory_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

/// The output of an attempt of the scribe: text of a tree with the file `made-by`, and that file.
std::pair<std::string, std::string> ScribesOutput(const Scribe::Attempt& attempt);

}  // namespace tyllm::testing
