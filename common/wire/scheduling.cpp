// SPDX-License-Identifier: Apache-2.0
#include "common/wire/scheduling.h"

#include <utility>

#include "common/wire/enums.h"
#include "common/wire/text.h"

namespace tyllm::wire {

static_assert(v1::MatchRule_MAX == domain::kMatchRuleNames.rows().size());
static_assert(v1::PendingReason_MAX == domain::kPendingReasonNames.rows().size());

v1::Requirement ToProto(const domain::Requirement& requirement) {
  v1::Requirement proto;
  proto.set_property(ValidUtf8(requirement.property));
  proto.set_rule(EnumToProto<v1::MatchRule>(requirement.rule));
  proto.set_value(ValidUtf8(requirement.value));
  return proto;
}

Result<domain::Requirement> FromProto(const v1::Requirement& proto) {
  domain::Requirement requirement{proto.property(), domain::MatchRule::kExact, proto.value()};
  TYLLM_ASSIGN(requirement.rule, EnumFromProtoOr(proto.rule(), requirement.rule, "rule"));
  return requirement;
}

v1::Shortfall ToProto(const domain::Shortfall& shortfall) {
  v1::Shortfall proto;
  *proto.mutable_asked() = ToProto(shortfall.asked);
  proto.set_best(ValidUtf8(shortfall.best));
  return proto;
}

Result<domain::Shortfall> FromProto(const v1::Shortfall& proto) {
  domain::Shortfall shortfall;
  TYLLM_ASSIGN(shortfall.asked, FromProto(proto.asked()).Annotate("asked"));
  shortfall.best = proto.best();
  return shortfall;
}

v1::Resources ToProto(const domain::Resources& resources) {
  v1::Resources proto;
  proto.set_memory_bytes(resources.memory_bytes);
  proto.set_gpu_memory_bytes(resources.gpu_memory_bytes);
  proto.set_disk_bytes(resources.disk_bytes);
  proto.set_cpus(resources.cpus);
  return proto;
}

domain::Resources FromProto(const v1::Resources& proto) {
  return {proto.memory_bytes(), proto.gpu_memory_bytes(), proto.disk_bytes(), proto.cpus()};
}

v1::Checkpoint ToProto(const domain::Checkpoint& checkpoint) {
  v1::Checkpoint proto;
  *proto.mutable_tree() = ToProto(checkpoint.tree);
  proto.set_stage(ValidUtf8(checkpoint.stage));
  proto.set_done(checkpoint.done);
  proto.set_total(checkpoint.total);
  proto.set_unix_ms(checkpoint.unix_ms);
  return proto;
}

Result<domain::Checkpoint> FromProto(const v1::Checkpoint& proto) {
  domain::Checkpoint checkpoint;
  TYLLM_ASSIGN(checkpoint.tree, FromProto(proto.tree()).Annotate("tree"));
  checkpoint.stage = proto.stage();
  checkpoint.done = proto.done();
  checkpoint.total = proto.total();
  checkpoint.unix_ms = proto.unix_ms();
  return checkpoint;
}

v1::Pending ToProto(const domain::Pending& pending) {
  v1::Pending proto;
  proto.set_reason(EnumToProto<v1::PendingReason>(pending.reason));
  proto.set_message(ValidUtf8(pending.message));
  proto.set_position(pending.position);
  proto.set_eligible_workers(pending.eligible_workers);
  proto.set_free_workers(pending.free_workers);
  AddAll(pending.shortfalls, *proto.mutable_shortfalls());
  if (pending.joined) {
    proto.set_joined_task_id(pending.joined->ToString());
  }
  proto.set_not_before_unix_ms(pending.not_before_unix_ms);
  proto.set_expected_wait_ms(pending.expected_wait_ms);
  return proto;
}

Result<domain::Pending> FromProto(const v1::Pending& proto) {
  domain::Pending pending;
  TYLLM_ASSIGN(pending.reason, EnumFromProto<domain::PendingReason>(proto.reason(), "reason"));
  pending.message = proto.message();
  pending.position = proto.position();
  pending.eligible_workers = proto.eligible_workers();
  pending.free_workers = proto.free_workers();
  TYLLM_ASSIGN(pending.shortfalls, ReadAll<domain::Shortfall>(proto.shortfalls(), "shortfalls"));
  if (!proto.joined_task_id().empty()) {
    TYLLM_ASSIGN(pending.joined,
                 IdFromProto<domain::TaskId>(proto.joined_task_id(), "joined_task_id"));
  }
  pending.not_before_unix_ms = proto.not_before_unix_ms();
  pending.expected_wait_ms = proto.expected_wait_ms();
  return pending;
}

}  // namespace tyllm::wire
