// SPDX-License-Identifier: Apache-2.0
#include "common/wire/admin.h"

#include <utility>

#include "common/wire/enums.h"
#include "common/wire/limits.h"
#include "common/wire/text.h"

namespace tyllm::wire {

v1::GetServerInfoResponse ToProto(const domain::ServerInfo& info) {
  v1::GetServerInfoResponse proto;
  proto.set_version(info.version);
  proto.set_schema_version(info.schema_version);
  proto.set_started_unix_ms(info.started_unix_ms);
  for (const auto& [state, count] : info.jobs_by_state) {
    (*proto.mutable_jobs_by_state())[std::string(domain::kJobStateNames.Name(state))] = count;
  }
  proto.set_blob_bytes(info.blob_bytes);
  proto.set_max_message_bytes(kMaxMessageBytes);
  return proto;
}

Result<domain::ServerInfo> FromProto(const v1::GetServerInfoResponse& proto) {
  domain::ServerInfo info;
  info.version = proto.version();
  info.schema_version = proto.schema_version();
  info.started_unix_ms = proto.started_unix_ms();
  for (const auto& [name, count] : proto.jobs_by_state()) {
    TYLLM_ASSIGN(const auto state, domain::kJobStateNames.Parse(name));
    info.jobs_by_state[state] = count;
  }
  info.blob_bytes = proto.blob_bytes();
  return info;
}

v1::Worker ToProto(const domain::WorkerView& worker) {
  v1::Worker proto;
  proto.set_name(ValidUtf8(worker.name));
  *proto.mutable_capabilities() = ToProto(worker.capabilities);
  proto.set_online(worker.online);
  proto.set_mode(EnumToProto<v1::WorkerMode>(worker.order.mode));
  proto.set_mode_reason(ValidUtf8(worker.order.reason));
  proto.set_mode_by(ValidUtf8(worker.order.by));
  proto.set_session(ValidUtf8(worker.session));
  proto.set_last_seen_unix_ms(worker.last_seen_unix_ms);
  if (worker.bench) {
    v1::Bench& bench = *proto.mutable_bench();
    bench.set_failures(worker.bench->failures);
    bench.set_reason(ValidUtf8(worker.bench->reason));
    bench.set_until_unix_ms(worker.bench->until_unix_ms);
  }
  for (const domain::TaskId task : worker.tasks) {
    proto.add_task_ids(task.ToString());
  }
  return proto;
}

Result<domain::WorkerView> FromProto(const v1::Worker& proto) {
  domain::WorkerView worker;
  worker.name = proto.name();
  TYLLM_ASSIGN(worker.capabilities, FromProto(proto.capabilities()).Annotate("capabilities"));
  worker.online = proto.online();
  TYLLM_ASSIGN(worker.order.mode, EnumFromProtoOr(proto.mode(), worker.order.mode, "mode"));
  worker.order.reason = proto.mode_reason();
  worker.order.by = proto.mode_by();
  worker.session = proto.session();
  worker.last_seen_unix_ms = proto.last_seen_unix_ms();
  if (proto.has_bench()) {
    worker.bench = {.failures = proto.bench().failures(),
                    .reason = proto.bench().reason(),
                    .until_unix_ms = proto.bench().until_unix_ms()};
  }
  for (const std::string& text : proto.task_ids()) {
    TYLLM_ASSIGN(const auto task, IdFromProto<domain::TaskId>(text, "task_ids"));
    worker.tasks.push_back(task);
  }
  return worker;
}

v1::ListWorkersRequest ToProto(const domain::WorkerQuery& query) {
  v1::ListWorkersRequest proto;
  proto.set_page_size(static_cast<std::int32_t>(query.page_size));
  proto.set_page_token(ValidUtf8(query.page_token));
  proto.set_online_only(query.online_only);
  for (const domain::WorkerMode mode : query.modes) {
    proto.add_modes(EnumToProto<v1::WorkerMode>(mode));
  }
  for (const auto& [key, value] : query.labels) {
    (*proto.mutable_labels())[ValidUtf8(key)] = ValidUtf8(value);
  }
  return proto;
}

Result<domain::WorkerQuery> FromProto(const v1::ListWorkersRequest& proto) {
  domain::WorkerQuery query;
  query.page_size = proto.page_size();
  query.page_token = proto.page_token();
  query.online_only = proto.online_only();
  for (const int mode : proto.modes()) {
    TYLLM_ASSIGN(const auto known, EnumFromProto<domain::WorkerMode>(mode, "modes"));
    query.modes.push_back(known);
  }
  query.labels = {proto.labels().begin(), proto.labels().end()};
  return query;
}

v1::ListWorkersResponse ToProto(const domain::WorkerPage& page) {
  v1::ListWorkersResponse proto;
  for (const domain::WorkerView& worker : page.workers) {
    *proto.add_workers() = ToProto(worker);
  }
  proto.set_next_page_token(page.next_page_token);
  return proto;
}

Result<domain::WorkerPage> FromProto(const v1::ListWorkersResponse& proto) {
  domain::WorkerPage page;
  for (const v1::Worker& worker : proto.workers()) {
    TYLLM_ASSIGN(auto view, FromProto(worker).Annotate("worker " + worker.name()));
    page.workers.push_back(std::move(view));
  }
  page.next_page_token = proto.next_page_token();
  return page;
}

}  // namespace tyllm::wire
