// SPDX-License-Identifier: Apache-2.0
#include "common/wire/workers.h"

#include <utility>

#include "common/wire/enums.h"
#include "common/wire/scheduling.h"
#include "common/wire/text.h"

namespace tyllm::wire {

static_assert(v1::WorkerMode_MAX == domain::kWorkerModeNames.rows().size());

namespace {

struct OutcomeToProto {
  v1::Held& held;

  void operator()(const domain::Running& /*running*/) const {}

  void operator()(const domain::Succeeded& succeeded) const {
    *held.mutable_succeeded()->mutable_output() = ToProto(succeeded.output);
  }

  void operator()(const domain::Failure& failure) const {
    *held.mutable_failure() = ToProto(failure);
  }

  void operator()(const domain::Stopped& /*stopped*/) const { held.mutable_stopped(); }
};

Result<domain::Outcome> OutcomeOf(const v1::Held& held) {
  switch (held.outcome_case()) {
    case v1::Held::OUTCOME_NOT_SET:
      return domain::Outcome(domain::Running{});
    case v1::Held::kSucceeded: {
      TYLLM_ASSIGN(const BlobId output,
                   FromProto(held.succeeded().output()).Annotate("succeeded.output"));
      return domain::Outcome(domain::Succeeded{output});
    }
    case v1::Held::kFailure: {
      TYLLM_ASSIGN(auto failure, FromProto(held.failure()).Annotate("failure"));
      return domain::Outcome(std::move(failure));
    }
    case v1::Held::kStopped:
      return domain::Outcome(domain::Stopped{});
  }
  return Internal("outcome_case out of range");
}

Result<domain::AttemptId> AttemptIdOf(const std::string& task, std::int32_t attempt) {
  TYLLM_ASSIGN(const auto id, IdFromProto<domain::TaskId>(task, "task_id"));
  if (attempt < 1) {
    return InvalidArgument("attempt is " + std::to_string(attempt) + ", expected at least 1");
  }
  return domain::AttemptId{id, attempt};
}

Result<std::vector<domain::TaskId>> TaskIdsOf(
    const google::protobuf::RepeatedPtrField<std::string>& texts, std::string_view field) {
  std::vector<domain::TaskId> ids;
  for (const std::string& text : texts) {
    TYLLM_ASSIGN(const auto id, IdFromProto<domain::TaskId>(text, field));
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

v1::Capabilities ToProto(const domain::Capabilities& capabilities) {
  v1::Capabilities proto;
  proto.set_device(ValidUtf8(capabilities.device));
  proto.set_memory_bytes(capabilities.memory_bytes);
  proto.set_disk_free_bytes(capabilities.disk_free_bytes);
  proto.set_cpus(capabilities.cpus);
  proto.set_slots(capabilities.slots);
  proto.set_toolchain_version(ValidUtf8(capabilities.toolchain_version));
  for (const auto& [key, value] : capabilities.labels) {
    (*proto.mutable_labels())[ValidUtf8(key)] = ValidUtf8(value);
  }
  proto.set_gpu_memory_bytes(capabilities.gpu_memory_bytes);
  proto.set_gpus(capabilities.gpus);
  proto.set_gpu(ValidUtf8(capabilities.gpu));
  proto.set_dies(capabilities.dies);
  for (const domain::TaskKind kind : capabilities.kinds) {
    proto.add_kinds(EnumToProto<v1::TaskKind>(kind));
  }
  proto.set_cache_bytes(capabilities.cache_bytes);
  for (const auto& [name, version] : capabilities.tools) {
    (*proto.mutable_tools())[ValidUtf8(name)] = ValidUtf8(version);
  }
  return proto;
}

Result<domain::Capabilities> FromProto(const v1::Capabilities& proto) {
  domain::Capabilities capabilities;
  capabilities.device = proto.device();
  capabilities.memory_bytes = proto.memory_bytes();
  capabilities.disk_free_bytes = proto.disk_free_bytes();
  capabilities.cpus = proto.cpus();
  capabilities.slots = proto.slots();
  capabilities.toolchain_version = proto.toolchain_version();
  capabilities.labels = {proto.labels().begin(), proto.labels().end()};
  capabilities.gpu_memory_bytes = proto.gpu_memory_bytes();
  capabilities.gpus = proto.gpus();
  capabilities.gpu = proto.gpu();
  capabilities.dies = proto.dies();
  for (const int kind : proto.kinds()) {
    TYLLM_ASSIGN(const auto known, EnumFromProto<domain::TaskKind>(kind, "kinds"));
    capabilities.kinds.push_back(known);
  }
  capabilities.cache_bytes = proto.cache_bytes();
  capabilities.tools = {proto.tools().begin(), proto.tools().end()};
  return capabilities;
}

v1::Held ToProto(const domain::HeldAttempt& held) {
  v1::Held proto;
  proto.set_task_id(held.id.task.ToString());
  proto.set_attempt(held.id.attempt);
  *proto.mutable_progress() = ToProto(held.progress);
  proto.set_log_bytes(held.log_bytes);
  std::visit(OutcomeToProto{proto}, held.outcome);
  if (held.checkpoint) {
    *proto.mutable_checkpoint() = ToProto(*held.checkpoint);
  }
  *proto.mutable_used() = ToProto(held.used);
  for (const domain::StageTime& time : held.stages) {
    v1::StageTime& stage = *proto.add_stages();
    stage.set_stage(ValidUtf8(time.stage));
    stage.set_milliseconds(time.ms);
  }
  proto.set_sending(held.sending);
  return proto;
}

Result<domain::HeldAttempt> FromProto(const v1::Held& proto) {
  domain::HeldAttempt held;
  TYLLM_ASSIGN(held.id, AttemptIdOf(proto.task_id(), proto.attempt()));
  held.progress = FromProto(proto.progress());
  held.log_bytes = proto.log_bytes();
  TYLLM_ASSIGN(held.outcome, OutcomeOf(proto));
  if (proto.has_checkpoint()) {
    TYLLM_ASSIGN(held.checkpoint, FromProto(proto.checkpoint()).Annotate("checkpoint"));
  }
  held.used = FromProto(proto.used());
  for (const v1::StageTime& time : proto.stages()) {
    held.stages.push_back({time.stage(), time.milliseconds()});
  }
  held.sending = proto.sending();
  return held;
}

v1::SyncRequest ToProto(const domain::SyncRequest& request) {
  v1::SyncRequest proto;
  proto.set_worker(ValidUtf8(request.from.worker));
  proto.set_session(ValidUtf8(request.from.session));
  *proto.mutable_capabilities() = ToProto(request.capabilities);
  for (const domain::HeldAttempt& held : request.held) {
    *proto.add_held() = ToProto(held);
  }
  proto.set_draining(request.draining);
  proto.set_wait_ms(request.wait_ms);
  AddAll(request.cached_trees, *proto.mutable_cached_trees());
  return proto;
}

Result<domain::SyncRequest> FromProto(const v1::SyncRequest& proto) {
  domain::SyncRequest request;
  request.from = {proto.worker(), proto.session()};
  TYLLM_ASSIGN(request.capabilities, FromProto(proto.capabilities()).Annotate("capabilities"));
  for (const v1::Held& held : proto.held()) {
    TYLLM_ASSIGN(auto attempt, FromProto(held).Annotate("held " + held.task_id()));
    request.held.push_back(std::move(attempt));
  }
  request.draining = proto.draining();
  request.wait_ms = proto.wait_ms();
  TYLLM_ASSIGN(request.cached_trees, ReadAll<BlobId>(proto.cached_trees(), "cached_trees"));
  return request;
}

v1::Assignment ToProto(const domain::Assignment& assignment) {
  v1::Assignment proto;
  proto.set_task_id(assignment.id.task.ToString());
  proto.set_attempt(assignment.id.attempt);
  proto.set_label(ValidUtf8(assignment.label));
  *proto.mutable_spec() = ToProto(assignment.spec);
  for (const auto& [name, tree] : assignment.inputs) {
    v1::Input& input = *proto.add_inputs();
    input.set_name(ValidUtf8(name));
    *input.mutable_tree() = ToProto(tree);
  }
  proto.set_lease_ms(assignment.lease_ms);
  proto.set_deadline_ms(assignment.deadline_ms);
  proto.set_stall_ms(assignment.stall_ms);
  if (assignment.checkpoint) {
    *proto.mutable_checkpoint() = ToProto(*assignment.checkpoint);
  }
  *proto.mutable_resources() = ToProto(assignment.resources);
  return proto;
}

Result<domain::Assignment> FromProto(const v1::Assignment& proto) {
  domain::Assignment assignment;
  TYLLM_ASSIGN(assignment.id, AttemptIdOf(proto.task_id(), proto.attempt()));
  assignment.label = proto.label();
  TYLLM_ASSIGN(assignment.spec, FromProto(proto.spec()).Annotate("spec"));
  for (const v1::Input& input : proto.inputs()) {
    TYLLM_ASSIGN(assignment.inputs[input.name()],
                 FromProto(input.tree()).Annotate("input " + input.name()));
  }
  assignment.lease_ms = proto.lease_ms();
  assignment.deadline_ms = proto.deadline_ms();
  assignment.stall_ms = proto.stall_ms();
  if (proto.has_checkpoint()) {
    TYLLM_ASSIGN(assignment.checkpoint, FromProto(proto.checkpoint()).Annotate("checkpoint"));
  }
  assignment.resources = FromProto(proto.resources());
  return assignment;
}

v1::SyncResponse ToProto(const domain::SyncReply& reply) {
  v1::SyncResponse proto;
  for (const domain::Assignment& assignment : reply.start) {
    *proto.add_start() = ToProto(assignment);
  }
  for (const domain::TaskId task : reply.stop) {
    proto.add_stop(task.ToString());
  }
  for (const domain::TaskId task : reply.acknowledged) {
    proto.add_acknowledged(task.ToString());
  }
  proto.set_lease_ms(reply.lease_ms);
  proto.set_next_sync_ms(reply.next_sync_ms);
  proto.set_mode(EnumToProto<v1::WorkerMode>(reply.order.mode));
  proto.set_mode_reason(ValidUtf8(reply.order.reason));
  proto.set_held_ms(reply.held_ms);
  return proto;
}

Result<domain::SyncReply> FromProto(const v1::SyncResponse& proto) {
  domain::SyncReply reply;
  for (const v1::Assignment& assignment : proto.start()) {
    TYLLM_ASSIGN(auto start, FromProto(assignment).Annotate("start " + assignment.task_id()));
    reply.start.push_back(std::move(start));
  }
  TYLLM_ASSIGN(reply.stop, TaskIdsOf(proto.stop(), "stop"));
  TYLLM_ASSIGN(reply.acknowledged, TaskIdsOf(proto.acknowledged(), "acknowledged"));
  reply.lease_ms = proto.lease_ms();
  reply.next_sync_ms = proto.next_sync_ms();
  TYLLM_ASSIGN(reply.order.mode, EnumFromProtoOr(proto.mode(), reply.order.mode, "mode"));
  reply.order.reason = proto.mode_reason();
  reply.held_ms = proto.held_ms();
  return reply;
}

v1::AppendLogRequest ToProto(domain::LogAppend append) {
  v1::AppendLogRequest proto;
  proto.set_task_id(append.id.task.ToString());
  proto.set_attempt(append.id.attempt);
  proto.set_offset(append.offset);
  proto.set_data(std::move(append.data));
  proto.set_worker(ValidUtf8(append.from.worker));
  proto.set_session(ValidUtf8(append.from.session));
  return proto;
}

Result<domain::LogAppend> FromProto(const v1::AppendLogRequest& proto) {
  domain::LogAppend append;
  TYLLM_ASSIGN(append.id, AttemptIdOf(proto.task_id(), proto.attempt()));
  append.from = {proto.worker(), proto.session()};
  append.offset = proto.offset();
  append.data = proto.data();
  return append;
}

}  // namespace tyllm::wire
