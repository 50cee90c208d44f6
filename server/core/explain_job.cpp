// SPDX-License-Identifier: Apache-2.0
#include "server/core/explain_job.h"

#include "server/core/get_job.h"

namespace tyllm::server::core {

namespace {

using domain::AttemptRecord;
using domain::CacheUse;
using domain::Ending;
using domain::TaskExplanation;

// What counts against the attempts that a task may fail or lose (sched::Judge).
bool Counts(const AttemptRecord& attempt) {
  if (!attempt.ending || *attempt.ending == Ending::kSucceeded ||
      *attempt.ending == Ending::kReturned || *attempt.ending == Ending::kStopped) {
    return false;
  }
  return !attempt.failure || attempt.failure->out_of_memory != domain::MemoryKind::kGpu;
}

std::optional<CacheUse> CacheUseOf(const store::TaskRecord& record) {
  if (record.kept) {
    return CacheUse::kKept;
  }
  if (record.view.cached) {
    return CacheUse::kHit;
  }
  if (!record.use_cache) {
    return CacheUse::kOff;
  }
  if (!record.key) {
    return std::nullopt;
  }
  return record.joined ? CacheUse::kJoined : CacheUse::kMiss;
}

Result<TaskExplanation> Explain(store::Queue& queue, domain::TaskId task) {
  TYLLM_ASSIGN(const store::TaskRecord record, queue.GetTask(task));
  TaskExplanation explanation;
  explanation.task = record.view;
  for (const domain::TaskInput& input : record.inputs) {
    if (!input.from.empty()) {
      explanation.needs.push_back(input.from);
    }
  }
  explanation.inputs = record.trees;
  explanation.action_key = record.key ? record.key->Hex() : "";
  explanation.cache = CacheUseOf(record);
  explanation.cache_task = record.made_by ? record.made_by : record.joined;
  explanation.requirements = record.requirements;
  TYLLM_ASSIGN(explanation.attempts, queue.Attempts(task));
  TYLLM_ASSIGN(explanation.decisions, queue.Decisions(task));
  for (AttemptRecord& attempt : explanation.attempts) {
    attempt.counted = Counts(attempt);
  }
  return explanation;
}

}  // namespace

boost::asio::awaitable<Result<domain::JobExplanation>> ExplainJob(Farm& farm, domain::JobId job) {
  domain::JobExplanation explanation;
  TYLLM_CO_ASSIGN(explanation.job, co_await GetJob(farm, job));
  const Status read = co_await farm.parts.store.Look([&](store::Queue& queue) -> Status {
    for (const domain::TaskView& task : explanation.job.tasks) {
      TYLLM_ASSIGN(TaskExplanation one, Explain(queue, task.id));
      one.task = task;  // with progress and why it waits
      explanation.tasks.push_back(std::move(one));
    }
    return OkStatus();
  });
  TYLLM_CO_TRY(read);
  for (TaskExplanation& task : explanation.tasks) {
    for (AttemptRecord& attempt : task.attempts) {
      const domain::AttemptId id{task.task.id, attempt.attempt};
      TYLLM_CO_ASSIGN(attempt.log_bytes, co_await farm.parts.logs.Size(id));
    }
  }
  co_return explanation;
}

boost::asio::awaitable<Result<domain::TaskDetail>> GetTask(Farm& farm, domain::TaskId task) {
  TYLLM_CO_ASSIGN(
      const store::TaskRecord record,
      co_await farm.parts.store.Look([&](store::Queue& queue) { return queue.GetTask(task); }));
  domain::TaskDetail detail;
  detail.task = record.view;
  detail.job = record.job;
  detail.spec = record.spec;
  detail.inputs = record.trees;
  detail.inputs_known = record.trees.size() == record.inputs.size();
  detail.action_key = record.key ? record.key->Hex() : "";
  detail.toolchain_version = record.toolchain_version;
  if (const Attempts::Live* const live =
          farm.attempts.Find({record.view.id, record.view.attempt})) {
    detail.task.progress = live->progress;
  }
  co_return detail;
}

}  // namespace tyllm::server::core
