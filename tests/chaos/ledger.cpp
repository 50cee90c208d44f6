// SPDX-License-Identifier: Apache-2.0
#include "tests/chaos/ledger.h"

#include <gtest/gtest.h>

namespace tyllm::testing {

namespace {

std::string Show(const v1::BlobId& blob) {
  return blob.sha256() + "/" + std::to_string(blob.size());
}

std::string Show(const v1::Failure& failure) {
  return failure.reason() + " exit " + std::to_string(failure.exit_code()) + " signal " +
         std::to_string(failure.signal()) + " attempt " + std::to_string(failure.attempt());
}

// What may not change any more once the job has ended.
std::string Show(const v1::Job& job) {
  return v1::JobState_Name(job.state()) + " ended " + std::to_string(job.ended_unix_ms()) +
         " created " + std::to_string(job.created_unix_ms()) + " last event " +
         std::to_string(job.last_event()) + " failure " + Show(job.failure());
}

std::string Show(const v1::Task& task) {
  return v1::TaskState_Name(task.state()) + " attempt " + std::to_string(task.attempt()) + " on " +
         task.worker() + " output " + Show(task.output()) + " ended " +
         std::to_string(task.ended_unix_ms()) + " failure " + Show(task.failure());
}

void CheckSame(std::map<std::string, std::string>& shown, const std::string& id,
               const std::string& now) {
  const auto [known, first] = shown.try_emplace(id, now);
  EXPECT_EQ(known->second, now) << id << " had ended and changed";
}

std::string BehaviourOf(const v1::SubmitJobRequest& request) {
  return request.spec().name().substr(0, request.spec().name().find('-'));
}

}  // namespace

bool HasEnded(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

bool HasEnded(v1::TaskState state) {
  return state == v1::TASK_STATE_SUCCEEDED || state == v1::TASK_STATE_FAILED ||
         state == v1::TASK_STATE_CANCELLED;
}

void Ledger::Accepted(const v1::SubmitJobRequest& request, const v1::Job& job) {
  unanswered_.erase(request.request_id());
  const auto [known, first] = job_of_.try_emplace(request.request_id(), job.id());
  EXPECT_EQ(known->second, job.id()) << "request " << request.request_id() << " made two jobs";
  EXPECT_EQ(job.spec().name(), request.spec().name()) << job.id() << " is another request's job";
  accepted_[job.id()] = request;
  Saw(job);
}

void Ledger::Retried(const std::string& request_id, const std::string& of, const v1::Job& job) {
  v1::SubmitJobRequest request = accepted_.at(of);
  request.set_request_id(request_id);
  request.mutable_spec()->set_priority(job.priority());
  EXPECT_EQ(job.retry_of(), of) << job.id();
  Accepted(request, job);
}

void Ledger::UpdateAsked(const std::string& job, std::int32_t priority) {
  priorities_.try_emplace(job, Priority{accepted_.at(job).spec().priority(), {}});
  priorities_[job].unanswered.insert(priority);
}

void Ledger::Updated(const std::string& job, std::int32_t priority) {
  Priority& known = priorities_[job];
  known.acknowledged = priority;
  if (const auto it = known.unanswered.find(priority); it != known.unanswered.end()) {
    known.unanswered.erase(it);  // not another one of the same number
  }
}

void Ledger::Deleted(const std::string& job) {
  deleted_.insert(job);
  accepted_.erase(job);
}

void Ledger::Saw(const v1::Job& job) {
  EXPECT_FALSE(deleted_.contains(job.id())) << job.id() << " was deleted and is back";
  if (job.state() == v1::JOB_STATE_FAILED || job.state() == v1::JOB_STATE_CANCELLED) {
    unsuccessful_.insert(job.id());
  }
  CheckPriority(job);
  std::int64_t& last = last_event_[job.id()];
  EXPECT_GE(job.last_event(), last) << job.id() << ": events that were shown are gone";
  last = std::max(last, job.last_event());
  if (HasEnded(job.state())) {
    CheckSame(ended_, job.id(), Show(job));
  } else {
    EXPECT_FALSE(ended_.contains(job.id()))
        << job.id() << " had ended and is " << v1::JobState_Name(job.state());
  }
  for (const v1::Task& task : job.tasks()) {
    if (HasEnded(task.state())) {
      CheckSame(ended_tasks_, task.id(), Show(task));
    } else {
      EXPECT_FALSE(ended_tasks_.contains(task.id()))
          << task.id() << " had ended and is " << v1::TaskState_Name(task.state());
    }
  }
}

void Ledger::SawAll(const std::vector<v1::Job>& jobs) {
  std::set<std::string> there;
  for (const v1::Job& job : jobs) {
    EXPECT_TRUE(there.insert(job.id()).second) << job.id() << " is listed twice";
    Saw(job);
  }
  for (const auto& [job, request] : accepted_) {
    EXPECT_TRUE(there.contains(job) || MayBeGone(job)) << job << " was accepted and is lost";
  }
}

std::optional<std::string> Ledger::JobOf(const std::string& request_id) const {
  const auto known = job_of_.find(request_id);
  return known == job_of_.end() ? std::nullopt : std::optional(known->second);
}

std::vector<std::string> Ledger::jobs() const {
  std::vector<std::string> all;
  for (const auto& [job, request] : accepted_) {
    all.push_back(job);
  }
  return all;
}

std::vector<std::string> Ledger::unfinished() const {
  std::vector<std::string> left;
  for (const auto& [job, request] : accepted_) {
    if (!ended_.contains(job)) {
      left.push_back(job);
    }
  }
  return left;
}

std::vector<std::string> Ledger::retryable() const {
  std::vector<std::string> some;
  for (const auto& [job, request] : accepted_) {
    if (unsuccessful_.contains(job) && !MayBeGone(job)) {
      some.push_back(job);
    }
  }
  return some;
}

std::vector<std::string> Ledger::deletable() const {
  std::vector<std::string> some;
  for (const auto& [job, request] : accepted_) {
    // The scribe, which remembers what was acknowledged of its logs, takes evaluations of any job.
    if (ended_.contains(job) && !MayBeGone(job) && request.spec().kind() == v1::JOB_KIND_CONVERT) {
      some.push_back(job);
    }
  }
  return some;
}

void Ledger::CheckPriority(const v1::Job& job) const {
  const auto known = priorities_.find(job.id());
  if (known == priorities_.end()) {
    return;
  }
  const Priority& priority = known->second;
  EXPECT_TRUE(job.priority() == priority.acknowledged ||
              priority.unanswered.contains(job.priority()))
      << job.id() << ": priority " << priority.acknowledged << " was acknowledged last, and it is "
      << job.priority();
}

void Ledger::CheckEnd(const v1::Job& job) const {
  if (job.failure().reason() == "NOT_STARTED") {
    EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED) << job.id();
    EXPECT_GT(accepted_.at(job.id()).spec().start_within_ms(), 0) << job.id() << " had no limit";
    for (const v1::Task& task : job.tasks()) {
      EXPECT_EQ(task.attempt(), 0)
          << job.id() << " was given up, and " << task.id() << " had begun";
    }
    return;
  }
  const std::string behaviour = BehaviourOf(accepted_.at(job.id()));
  const v1::JobState due = behaviour == "fail" ? v1::JOB_STATE_FAILED : v1::JOB_STATE_SUCCEEDED;
  const bool cancelled = job.state() == v1::JOB_STATE_CANCELLED && cancel_asked_.contains(job.id());
  EXPECT_TRUE(job.state() == due || cancelled)
      << job.id() << " (" << job.spec().name() << ") is " << Show(job);
  if (job.state() == v1::JOB_STATE_FAILED) {
    EXPECT_EQ(job.failure().exit_code(), 2) << job.id() << ": " << Show(job.failure());
  }
}

}  // namespace tyllm::testing
