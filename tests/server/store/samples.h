// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "server/store/queue.h"

namespace tyllm::server::store {

inline BlobId SampleTree(const std::string& content) {
  return {DigestOf(content), content.size() + 1};
}

inline NewJob SampleJob(const std::string& request_id, domain::JobKind kind,
                        std::int64_t dies = 2) {
  NewJob job;
  job.request_id = request_id;
  job.spec.kind = kind;
  job.spec.name = "tiny";
  job.spec.model = SampleTree("model");
  job.spec.compile.dies = dies;
  job.spec.no_cache = true;
  job.plan = domain::PlanJob(job.spec);
  return job;
}

inline domain::Failure SampleFailure(const std::string& reason) {
  return {.blame = domain::Blame::kToolchain,
          .reason = reason,
          .message = "it did not work",
          .stage = "pack",
          .exit_code = 3,
          .retryable = true,
          .log_tail = "last line"};
}

inline sched::Verdict Again(std::int64_t delay_ms = 0) {
  return {.again = true,
          .delay = Milliseconds(delay_ms),
          .failure = SampleFailure("CRASHED"),
          .spent = {1, 2}};
}

inline sched::Verdict GivenUp() {
  return {.again = false, .delay = {}, .failure = SampleFailure("CRASHED"), .spent = {3, 2}};
}

/// What may be leased, of all lanes, by number.
inline std::vector<sched::Candidate> AllCandidates(Queue& queue, std::int64_t now) {
  std::vector<sched::Candidate> all;
  const auto lanes = queue.Lanes(now);
  TYLLM_CHECK(lanes.ok());
  for (const sched::Lane& lane : *lanes) {
    const auto candidates = queue.Candidates(lane.id, now, 1000);
    TYLLM_CHECK(candidates.ok());
    all.insert(all.end(), candidates->begin(), candidates->end());
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return all;
}

}  // namespace tyllm::server::store
