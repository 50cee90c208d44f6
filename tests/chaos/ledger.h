// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/chaos/farm_client.h"

namespace tyllm::testing {

/// What the farm has promised to a client, and what it has said since: a failure of the test as
/// soon as the two differ.
class Ledger {
 public:
  /// A request whose answer has not come yet.
  void Asked(const v1::SubmitJobRequest& request) { unanswered_[request.request_id()] = request; }

  const std::map<std::string, v1::SubmitJobRequest>& unanswered() const { return unanswered_; }

  /// The job was accepted: from now on it must be there. The same request always has the same job.
  void Accepted(const v1::SubmitJobRequest& request, const v1::Job& job);

  void CancelAsked(const std::string& job) { cancel_asked_.insert(job); }

  /// The same retry always has the same job, which does what the first one was asked for.
  void Retried(const std::string& request_id, const std::string& of, const v1::Job& job);

  void UpdateAsked(const std::string& job, std::int32_t priority);
  void Updated(const std::string& job, std::int32_t priority);

  /// From now on it may be gone.
  void DeleteAsked(const std::string& job) { delete_asked_.insert(job); }

  /// From now on it is gone.
  void Deleted(const std::string& job);

  bool MayBeGone(const std::string& job) const { return delete_asked_.contains(job); }

  /// A job as the farm shows it: what has ended does not change, and no event is taken back.
  void Saw(const v1::Job& job);
  /// All jobs that there are: every accepted one must be among them.
  void SawAll(const std::vector<v1::Job>& jobs);

  /// That a request has made; nothing while no answer has come.
  std::optional<std::string> JobOf(const std::string& request_id) const;
  std::vector<std::string> jobs() const;
  std::vector<std::string> unfinished() const;
  /// Those that failed or were cancelled.
  std::vector<std::string> retryable() const;
  /// Those that have ended and of whose log nobody was promised anything.
  std::vector<std::string> deletable() const;

  std::size_t finished() const { return ended_.size(); }

  /// What became of an accepted job is one of the things that may become of it.
  void CheckEnd(const v1::Job& job) const;

 private:
  /// Nothing but the last update that was acknowledged has set it, or one without an answer.
  void CheckPriority(const v1::Job& job) const;

  struct Priority {
    std::int32_t acknowledged = 0;
    std::multiset<std::int32_t> unanswered;  ///< any of them may come yet
  };

  std::map<std::string, v1::SubmitJobRequest> unanswered_;
  std::map<std::string, v1::SubmitJobRequest> accepted_;  ///< by job
  std::map<std::string, std::string> job_of_;             ///< request id -> job
  std::set<std::string> cancel_asked_;
  std::set<std::string> delete_asked_;
  std::set<std::string> deleted_;
  std::set<std::string> unsuccessful_;
  std::map<std::string, Priority> priorities_;  ///< of jobs that were updated
  std::map<std::string, std::int64_t> last_event_;
  std::map<std::string, std::string> ended_;        ///< job -> how it was shown then
  std::map<std::string, std::string> ended_tasks_;  ///< task -> likewise
};

bool HasEnded(v1::JobState state);
bool HasEnded(v1::TaskState state);

}  // namespace tyllm::testing
