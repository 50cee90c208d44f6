// SPDX-License-Identifier: Apache-2.0
#include "common/wire/validations.h"

#include "common/wire/enums.h"
#include "common/wire/scheduling.h"
#include "common/wire/text.h"

namespace tyllm::wire {

namespace {

v1::Problem ToProto(const domain::Problem& problem) {
  v1::Problem proto;
  proto.set_reason(problem.reason);
  proto.set_field(ValidUtf8(problem.field));
  proto.set_message(ValidUtf8(problem.message));
  for (const BlobId& blob : problem.missing) {
    *proto.add_missing() = wire::ToProto(blob);
  }
  return proto;
}

Result<domain::Problem> FromProto(const v1::Problem& proto) {
  domain::Problem problem{
      .reason = proto.reason(), .field = proto.field(), .message = proto.message(), .missing = {}};
  for (const v1::BlobId& blob : proto.missing()) {
    TYLLM_ASSIGN(problem.missing.emplace_back(), wire::FromProto(blob).Annotate("missing"));
  }
  return problem;
}

v1::TaskForecast ToProto(const domain::TaskForecast& forecast) {
  v1::TaskForecast proto;
  proto.set_label(ValidUtf8(forecast.label));
  proto.set_kind(EnumToProto<v1::TaskKind>(forecast.kind));
  proto.set_action_key(forecast.action_key);
  proto.set_cached(forecast.cached);
  if (forecast.joins) {
    proto.set_joins_task_id(forecast.joins->ToString());
  }
  proto.set_eligible_workers(forecast.eligible_workers);
  proto.set_free_workers(forecast.free_workers);
  AddAll(forecast.shortfalls, *proto.mutable_shortfalls());
  proto.set_expected_run_ms(forecast.expected_run_ms);
  proto.set_expected_run_low_ms(forecast.expected_run_low_ms);
  proto.set_expected_run_high_ms(forecast.expected_run_high_ms);
  *proto.mutable_expected() = wire::ToProto(forecast.expected);
  return proto;
}

Result<domain::TaskForecast> FromProto(const v1::TaskForecast& proto) {
  domain::TaskForecast forecast;
  forecast.label = proto.label();
  TYLLM_ASSIGN(forecast.kind, EnumFromProto<domain::TaskKind>(proto.kind(), "kind"));
  forecast.action_key = proto.action_key();
  forecast.cached = proto.cached();
  if (!proto.joins_task_id().empty()) {
    TYLLM_ASSIGN(forecast.joins,
                 IdFromProto<domain::TaskId>(proto.joins_task_id(), "joins_task_id"));
  }
  forecast.eligible_workers = proto.eligible_workers();
  forecast.free_workers = proto.free_workers();
  TYLLM_ASSIGN(forecast.shortfalls, ReadAll<domain::Shortfall>(proto.shortfalls(), "shortfalls"));
  forecast.expected_run_ms = proto.expected_run_ms();
  forecast.expected_run_low_ms = proto.expected_run_low_ms();
  forecast.expected_run_high_ms = proto.expected_run_high_ms();
  forecast.expected = wire::FromProto(proto.expected());
  return forecast;
}

}  // namespace

v1::Validation ToProto(const domain::Validation& validation) {
  v1::Validation proto;
  for (const domain::Problem& problem : validation.problems) {
    *proto.add_problems() = ToProto(problem);
  }
  for (const domain::TaskForecast& task : validation.tasks) {
    *proto.add_tasks() = ToProto(task);
  }
  proto.set_expected_wait_ms(validation.expected_wait_ms);
  proto.set_expected_run_ms(validation.expected_run_ms);
  proto.set_expected_run_low_ms(validation.expected_run_low_ms);
  proto.set_expected_run_high_ms(validation.expected_run_high_ms);
  return proto;
}

Result<domain::Validation> FromProto(const v1::Validation& proto) {
  domain::Validation validation;
  for (const v1::Problem& problem : proto.problems()) {
    TYLLM_ASSIGN(validation.problems.emplace_back(), FromProto(problem).Annotate("problems"));
  }
  for (const v1::TaskForecast& task : proto.tasks()) {
    TYLLM_ASSIGN(validation.tasks.emplace_back(), FromProto(task).Annotate("tasks"));
  }
  validation.expected_wait_ms = proto.expected_wait_ms();
  validation.expected_run_ms = proto.expected_run_ms();
  validation.expected_run_low_ms = proto.expected_run_low_ms();
  validation.expected_run_high_ms = proto.expected_run_high_ms();
  return validation;
}

v1::GetCapabilitiesResponse ToProto(const domain::ServerCapabilities& capabilities) {
  v1::GetCapabilitiesResponse proto;
  proto.set_server_version(capabilities.server_version);
  for (const std::string& version : capabilities.api_versions) {
    proto.add_api_versions(version);
  }
  for (const std::string& feature : capabilities.features) {
    proto.add_features(feature);
  }
  for (const std::string& function : capabilities.digest_functions) {
    proto.add_digest_functions(function);
  }
  proto.set_max_message_bytes(capabilities.max_message_bytes);
  proto.set_max_piece_bytes(capabilities.max_piece_bytes);
  proto.set_max_spec_bytes(capabilities.max_spec_bytes);
  proto.set_max_tree_bytes(capabilities.max_tree_bytes);
  proto.set_max_page_size(capabilities.max_page_size);
  proto.set_max_wait_ms(capabilities.max_wait_ms);
  proto.set_request_id_ms(capabilities.request_id_ms);
  proto.set_max_labels(capabilities.max_labels);
  if (capabilities.queued_jobs_left) {
    proto.set_queued_jobs_left(*capabilities.queued_jobs_left);
  }
  if (capabilities.stored_bytes_left) {
    proto.set_stored_bytes_left(*capabilities.stored_bytes_left);
  }
  proto.set_unix_ms(capabilities.unix_ms);
  proto.set_caller(ValidUtf8(capabilities.caller));
  proto.set_max_batch_bytes(capabilities.max_batch_bytes);
  proto.set_max_batched_blob_bytes(capabilities.max_batched_blob_bytes);
  proto.set_max_batch_blobs(capabilities.max_batch_blobs);
  return proto;
}

domain::ServerCapabilities FromProto(const v1::GetCapabilitiesResponse& proto) {
  domain::ServerCapabilities capabilities;
  capabilities.server_version = proto.server_version();
  capabilities.api_versions = {proto.api_versions().begin(), proto.api_versions().end()};
  capabilities.features = {proto.features().begin(), proto.features().end()};
  capabilities.digest_functions = {proto.digest_functions().begin(),
                                   proto.digest_functions().end()};
  capabilities.max_message_bytes = proto.max_message_bytes();
  capabilities.max_piece_bytes = proto.max_piece_bytes();
  capabilities.max_spec_bytes = proto.max_spec_bytes();
  capabilities.max_tree_bytes = proto.max_tree_bytes();
  capabilities.max_page_size = proto.max_page_size();
  capabilities.max_wait_ms = proto.max_wait_ms();
  capabilities.request_id_ms = proto.request_id_ms();
  capabilities.max_labels = proto.max_labels();
  if (proto.has_queued_jobs_left()) {
    capabilities.queued_jobs_left = proto.queued_jobs_left();
  }
  if (proto.has_stored_bytes_left()) {
    capabilities.stored_bytes_left = proto.stored_bytes_left();
  }
  capabilities.unix_ms = proto.unix_ms();
  capabilities.caller = proto.caller();
  capabilities.max_batch_bytes = proto.max_batch_bytes();
  capabilities.max_batched_blob_bytes = proto.max_batched_blob_bytes();
  capabilities.max_batch_blobs = proto.max_batch_blobs();
  return capabilities;
}

}  // namespace tyllm::wire
