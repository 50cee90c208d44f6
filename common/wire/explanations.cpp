// SPDX-License-Identifier: Apache-2.0
#include "common/wire/explanations.h"

#include "common/wire/enums.h"
#include "common/wire/scheduling.h"
#include "common/wire/text.h"

namespace tyllm::wire {

static_assert(v1::CacheUse_MAX == domain::kCacheUseNames.rows().size());
static_assert(v1::AttemptEnding_MAX == domain::kEndingNames.rows().size());

namespace {

using Trees = std::map<std::string, BlobId>;
using ProtoTrees = google::protobuf::RepeatedPtrField<v1::TaskInputTree>;

void AddTrees(const Trees& trees, ProtoTrees& to) {
  for (const auto& [name, tree] : trees) {
    v1::TaskInputTree& input = *to.Add();
    input.set_name(ValidUtf8(name));
    *input.mutable_tree() = ToProto(tree);
  }
}

Result<Trees> ReadTrees(const ProtoTrees& from) {
  Trees trees;
  for (const v1::TaskInputTree& input : from) {
    TYLLM_ASSIGN(trees[input.name()], FromProto(input.tree()).Annotate("inputs"));
  }
  return trees;
}

}  // namespace

v1::AttemptRecord ToProto(const domain::AttemptRecord& attempt) {
  v1::AttemptRecord proto;
  proto.set_attempt(attempt.attempt);
  proto.set_worker(ValidUtf8(attempt.worker));
  proto.set_session(ValidUtf8(attempt.session));
  proto.set_started_unix_ms(attempt.started_unix_ms);
  proto.set_ended_unix_ms(attempt.ended_unix_ms);
  if (attempt.ending) {
    proto.set_ending(EnumToProto<v1::AttemptEnding>(*attempt.ending));
  }
  if (attempt.failure) {
    *proto.mutable_failure() = ToProto(*attempt.failure);
  }
  proto.set_log_bytes(attempt.log_bytes);
  proto.set_counted(attempt.counted);
  return proto;
}

Result<domain::AttemptRecord> FromProto(const v1::AttemptRecord& proto) {
  domain::AttemptRecord attempt;
  attempt.attempt = proto.attempt();
  attempt.worker = proto.worker();
  attempt.session = proto.session();
  attempt.started_unix_ms = proto.started_unix_ms();
  attempt.ended_unix_ms = proto.ended_unix_ms();
  if (proto.ending() != v1::ATTEMPT_ENDING_UNSPECIFIED) {
    TYLLM_ASSIGN(attempt.ending, EnumFromProto<domain::Ending>(proto.ending(), "ending"));
  }
  if (proto.has_failure()) {
    TYLLM_ASSIGN(attempt.failure, FromProto(proto.failure()).Annotate("failure"));
  }
  attempt.log_bytes = proto.log_bytes();
  attempt.counted = proto.counted();
  return attempt;
}

v1::TaskExplanation ToProto(const domain::TaskExplanation& task) {
  v1::TaskExplanation proto;
  *proto.mutable_task() = ToProto(task.task);
  for (const std::string& label : task.needs) {
    proto.add_needs(ValidUtf8(label));
  }
  AddTrees(task.inputs, *proto.mutable_inputs());
  proto.set_action_key(task.action_key);
  if (task.cache) {
    proto.set_cache(EnumToProto<v1::CacheUse>(*task.cache));
  }
  if (task.cache_task) {
    proto.set_cache_task_id(task.cache_task->ToString());
  }
  AddAll(task.requirements, *proto.mutable_requirements());
  for (const domain::AttemptRecord& attempt : task.attempts) {
    *proto.add_attempts() = ToProto(attempt);
  }
  for (const domain::Decision& decision : task.decisions) {
    v1::Decision& one = *proto.add_decisions();
    one.set_unix_ms(decision.unix_ms);
    one.set_text(ValidUtf8(decision.text));
  }
  return proto;
}

Result<domain::TaskExplanation> FromProto(const v1::TaskExplanation& proto) {
  domain::TaskExplanation task;
  TYLLM_ASSIGN(task.task, FromProto(proto.task()).Annotate("task"));
  task.needs = {proto.needs().begin(), proto.needs().end()};
  TYLLM_ASSIGN(task.inputs, ReadTrees(proto.inputs()));
  task.action_key = proto.action_key();
  if (proto.cache() != v1::CACHE_USE_UNSPECIFIED) {
    TYLLM_ASSIGN(task.cache, EnumFromProto<domain::CacheUse>(proto.cache(), "cache"));
  }
  if (!proto.cache_task_id().empty()) {
    TYLLM_ASSIGN(task.cache_task,
                 IdFromProto<domain::TaskId>(proto.cache_task_id(), "cache_task_id"));
  }
  TYLLM_ASSIGN(task.requirements,
               ReadAll<domain::Requirement>(proto.requirements(), "requirements"));
  for (const v1::AttemptRecord& attempt : proto.attempts()) {
    TYLLM_ASSIGN(task.attempts.emplace_back(), FromProto(attempt).Annotate("attempts"));
  }
  for (const v1::Decision& decision : proto.decisions()) {
    task.decisions.push_back({.unix_ms = decision.unix_ms(), .text = decision.text()});
  }
  return task;
}

v1::ExplainJobResponse ToProto(const domain::JobExplanation& explanation) {
  v1::ExplainJobResponse proto;
  *proto.mutable_job() = ToProto(explanation.job);
  for (const domain::TaskExplanation& task : explanation.tasks) {
    *proto.add_tasks() = ToProto(task);
  }
  return proto;
}

Result<domain::JobExplanation> FromProto(const v1::ExplainJobResponse& proto) {
  domain::JobExplanation explanation;
  TYLLM_ASSIGN(explanation.job, FromProto(proto.job()).Annotate("job"));
  for (const v1::TaskExplanation& task : proto.tasks()) {
    TYLLM_ASSIGN(explanation.tasks.emplace_back(), FromProto(task).Annotate("tasks"));
  }
  return explanation;
}

v1::GetTaskResponse ToProto(const domain::TaskDetail& detail) {
  v1::GetTaskResponse proto;
  *proto.mutable_task() = ToProto(detail.task);
  proto.set_job_id(detail.job.ToString());
  *proto.mutable_spec() = ToProto(detail.spec);
  AddTrees(detail.inputs, *proto.mutable_inputs());
  proto.set_inputs_known(detail.inputs_known);
  proto.set_action_key(detail.action_key);
  proto.set_toolchain_version(ValidUtf8(detail.toolchain_version));
  return proto;
}

Result<domain::TaskDetail> FromProto(const v1::GetTaskResponse& proto) {
  domain::TaskDetail detail;
  TYLLM_ASSIGN(detail.task, FromProto(proto.task()).Annotate("task"));
  TYLLM_ASSIGN(detail.job, IdFromProto<domain::JobId>(proto.job_id(), "job_id"));
  TYLLM_ASSIGN(detail.spec, FromProto(proto.spec()).Annotate("spec"));
  TYLLM_ASSIGN(detail.inputs, ReadTrees(proto.inputs()));
  detail.inputs_known = proto.inputs_known();
  detail.action_key = proto.action_key();
  detail.toolchain_version = proto.toolchain_version();
  return detail;
}

}  // namespace tyllm::wire
