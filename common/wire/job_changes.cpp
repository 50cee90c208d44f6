// SPDX-License-Identifier: Apache-2.0
#include "common/wire/job_changes.h"

#include "common/wire/text.h"

namespace tyllm::wire {

namespace {

constexpr std::string_view kLabelPath = "labels.";

template <typename Proto>
Proto ChangeToProto(const domain::JobChange& change) {
  Proto proto;
  proto.set_job_id(change.job.ToString());
  proto.set_request_id(ValidUtf8(change.request_id));
  proto.set_etag(ValidUtf8(change.etag));
  return proto;
}

template <typename Proto>
Result<domain::JobChange> ChangeFromProto(const Proto& proto) {
  domain::JobChange change;
  TYLLM_ASSIGN(change.job, IdFromProto<domain::JobId>(proto.job_id(), "job_id"));
  change.request_id = proto.request_id();
  change.etag = proto.etag();
  return change;
}

Status ReadPath(const v1::UpdateJobRequest& proto, const std::string& path,
                domain::UpdateRequest& request) {
  if (path == "priority") {
    request.priority = proto.priority();
  } else if (path == "labels") {
    request.replaces_labels = true;
    for (const auto& [key, value] : proto.labels()) {
      request.labels[key] = value;
    }
  } else if (path.starts_with(kLabelPath)) {
    const std::string key = path.substr(kLabelPath.size());
    const auto given = proto.labels().find(key);
    request.labels[key] =
        given == proto.labels().end() ? std::nullopt : std::optional(given->second);
  } else {
    return InvalidArgument("update_mask names '" + path.substr(0, 60) +
                           "', expected priority, labels or labels.<key>");
  }
  return OkStatus();
}

}  // namespace

v1::CancelJobRequest ToCancelProto(const domain::JobChange& change) {
  return ChangeToProto<v1::CancelJobRequest>(change);
}

Result<domain::JobChange> FromProto(const v1::CancelJobRequest& proto) {
  return ChangeFromProto(proto);
}

v1::DeleteJobRequest ToDeleteProto(const domain::JobChange& change) {
  return ChangeToProto<v1::DeleteJobRequest>(change);
}

Result<domain::JobChange> FromProto(const v1::DeleteJobRequest& proto) {
  return ChangeFromProto(proto);
}

v1::RetryJobRequest ToProto(const domain::RetryRequest& request) {
  auto proto = ChangeToProto<v1::RetryJobRequest>(request.change);
  proto.set_no_cache(request.no_cache);
  return proto;
}

Result<domain::RetryRequest> FromProto(const v1::RetryJobRequest& proto) {
  domain::RetryRequest request;
  TYLLM_ASSIGN(request.change, ChangeFromProto(proto));
  request.no_cache = proto.no_cache();
  return request;
}

v1::UpdateJobRequest ToProto(const domain::UpdateRequest& request) {
  auto proto = ChangeToProto<v1::UpdateJobRequest>(request.change);
  if (request.priority) {
    proto.mutable_update_mask()->add_paths("priority");
    proto.set_priority(*request.priority);
  }
  if (request.replaces_labels) {
    proto.mutable_update_mask()->add_paths("labels");
  }
  for (const auto& [key, value] : request.labels) {
    if (!request.replaces_labels) {
      proto.mutable_update_mask()->add_paths(std::string(kLabelPath) + ValidUtf8(key));
    }
    if (value) {
      (*proto.mutable_labels())[ValidUtf8(key)] = ValidUtf8(*value);
    }
  }
  return proto;
}

Result<domain::UpdateRequest> FromProto(const v1::UpdateJobRequest& proto) {
  domain::UpdateRequest request;
  TYLLM_ASSIGN(request.change, ChangeFromProto(proto));
  if (proto.update_mask().paths().empty()) {
    return InvalidArgument(
        "update_mask is empty, expected what is to change: priority, labels or labels.<key>");
  }
  for (const std::string& path : proto.update_mask().paths()) {
    TYLLM_TRY(ReadPath(proto, path, request));
  }
  return request;
}

v1::WaitJobRequest ToProto(const domain::WaitRequest& request) {
  v1::WaitJobRequest proto;
  proto.set_job_id(request.job.ToString());
  proto.set_timeout_ms(request.timeout_ms);
  proto.set_after_event(request.after_event);
  return proto;
}

Result<domain::WaitRequest> FromProto(const v1::WaitJobRequest& proto) {
  domain::WaitRequest request;
  TYLLM_ASSIGN(request.job, IdFromProto<domain::JobId>(proto.job_id(), "job_id"));
  request.timeout_ms = proto.timeout_ms();
  request.after_event = proto.after_event();
  return request;
}

}  // namespace tyllm::wire
