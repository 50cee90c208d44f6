// SPDX-License-Identifier: Apache-2.0
#include "tests/chaos/changes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tyllm::testing {

namespace {

// What a server says that has heard the request, and not that nobody can be reached.
bool IsAnAnswer(const Status& status) {
  constexpr std::array kAnswers = {StatusCode::kInvalidArgument,    StatusCode::kNotFound,
                                   StatusCode::kAlreadyExists,      StatusCode::kAborted,
                                   StatusCode::kFailedPrecondition, StatusCode::kPermissionDenied,
                                   StatusCode::kUnimplemented};
  return std::ranges::find(kAnswers, status.code()) != kAnswers.end();
}

}  // namespace

std::int64_t Changes::Below(std::int64_t limit) {
  return std::uniform_int_distribution<std::int64_t>(0, limit - 1)(random_);
}

std::string Changes::NewId(const std::string& kind) {
  return kind + "-" + std::to_string(asked_++);
}

std::optional<std::string> Changes::AnyOf(const std::vector<std::string>& jobs) {
  if (jobs.empty()) {
    return std::nullopt;
  }
  return jobs[static_cast<std::size_t>(Below(static_cast<std::int64_t>(jobs.size())))];
}

void Changes::Update(FarmClient& client) {
  const auto job = AnyOf(ledger_.unfinished());
  if (!job) {
    return;
  }
  v1::UpdateJobRequest request;
  request.set_request_id(NewId("update"));
  request.set_job_id(*job);
  request.mutable_update_mask()->add_paths("priority");
  request.set_priority(static_cast<std::int32_t>(Below(100)));
  ledger_.UpdateAsked(*job, request.priority());
  const auto shown = client.Update(request);
  if (shown.ok()) {
    ++happened_["update"];
    ledger_.Updated(*job, request.priority());
    ledger_.Saw(*shown);
    updates_.push_back(request);
  } else if (IsAnAnswer(shown.status())) {
    EXPECT_EQ(shown.status().code(), StatusCode::kFailedPrecondition)  // it has ended meanwhile
        << shown.status().ToString();
  }
}

void Changes::UpdateAgain(FarmClient& client) {
  if (updates_.empty()) {
    return;
  }
  const v1::UpdateJobRequest& request =
      updates_[static_cast<std::size_t>(Below(static_cast<std::int64_t>(updates_.size())))];
  if (ledger_.MayBeGone(request.job_id())) {
    return;
  }
  const auto shown = client.Update(request);
  if (shown.ok()) {
    ++happened_["update asked for again"];
    ledger_.Saw(*shown);  // with the priority that it was given last
  } else {
    EXPECT_FALSE(IsAnAnswer(shown.status()))
        << request.request_id() << ": " << shown.status().ToString();
  }
}

void Changes::Ask(FarmClient& client, Retry& retry) {
  v1::RetryJobRequest request;
  request.set_request_id(retry.request_id);
  request.set_job_id(retry.job);
  const auto made = client.Retry(request);
  if (!made.ok()) {
    EXPECT_FALSE(IsAnAnswer(made.status())) << retry.job << ": " << made.status().ToString();
    return;
  }
  if (retry.made.empty()) {
    ++happened_["retry"];
    retry.made = made->id();
    ledger_.Retried(retry.request_id, retry.job, *made);
  } else {
    ++happened_["retry asked for again"];
    ledger_.Saw(*made);
  }
  EXPECT_EQ(made->id(), retry.made) << retry.request_id << " made two jobs";
}

void Changes::BeginRetry(FarmClient& client) {
  const auto job = AnyOf(ledger_.retryable());
  if (!job || std::ranges::any_of(deletes_, [&](const Delete& one) { return one.job == *job; })) {
    return;
  }
  retries_.push_back({NewId("retry"), *job, {}});
  for (int times = 1 + static_cast<int>(Below(2)); times > 0; --times) {
    Ask(client, retries_.back());
  }
}

void Changes::Ask(FarmClient& client, Delete& one) {
  v1::DeleteJobRequest request;
  request.set_request_id(one.request_id);
  request.set_job_id(one.job);
  const Status status = client.Delete(request);
  if (!status.ok()) {
    EXPECT_FALSE(IsAnAnswer(status)) << one.job << ": " << status.ToString();
    return;
  }
  if (!std::exchange(one.done, true)) {
    ++happened_["delete"];
    ledger_.Deleted(one.job);
  } else {
    ++happened_["delete asked for again"];
  }
  EXPECT_NE(client.Get(one.job).status().code(), StatusCode::kOk) << one.job << " was deleted";
}

void Changes::BeginDelete(FarmClient& client) {
  const auto job = AnyOf(ledger_.deletable());
  // The answer to a retry names it for ever.
  if (!job || std::ranges::any_of(retries_, [&](const Retry& one) { return one.job == *job; }) ||
      std::ranges::any_of(retries_, [&](const Retry& one) { return one.made == *job; }) ||
      std::ranges::any_of(deletes_, [&](const Delete& one) { return one.job == *job; })) {
    return;
  }
  deletes_.push_back({NewId("delete"), *job});
  ledger_.DeleteAsked(*job);  // the answer may get lost
  for (int times = 1 + static_cast<int>(Below(2)); times > 0; --times) {
    Ask(client, deletes_.back());
  }
}

void Changes::Step(FarmClient& client) {
  // Those whose answer was lost first.
  for (Retry& retry : retries_) {
    if (retry.made.empty() && Below(2) == 0) {
      return Ask(client, retry);
    }
  }
  for (Delete& one : deletes_) {
    if (!one.done && Below(2) == 0) {
      return Ask(client, one);
    }
  }
  switch (Below(4)) {
    case 0:
      return BeginRetry(client);
    case 1:
      return BeginDelete(client);
    case 2:
      return UpdateAgain(client);
    default:
      return Update(client);
  }
}

void Changes::Finish(FarmClient& client) {
  for (Retry& retry : retries_) {
    Ask(client, retry);
    EXPECT_FALSE(retry.made.empty()) << retry.request_id;
  }
  for (Delete& one : deletes_) {
    Ask(client, one);
    EXPECT_TRUE(one.done) << one.request_id;
    EXPECT_EQ(client.Get(one.job).status().code(), StatusCode::kNotFound) << one.job;
  }
}

}  // namespace tyllm::testing
