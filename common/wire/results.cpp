// SPDX-License-Identifier: Apache-2.0
#include "common/wire/results.h"

#include "common/wire/text.h"
#include "common/wire/types.h"

namespace tyllm::wire {

v1::ForgetResultsRequest ToProto(const domain::ForgetRequest& request) {
  const domain::ResultSelection& which = request.which;
  v1::ForgetResultsRequest proto;
  proto.set_request_id(ValidUtf8(request.request_id));
  proto.set_job_id(which.job ? which.job->ToString() : "");
  proto.set_task_id(which.task ? which.task->ToString() : "");
  proto.set_worker(ValidUtf8(which.worker));
  proto.set_toolchain_version(ValidUtf8(which.toolchain_version));
  proto.set_made_from_unix_ms(which.made_from_unix_ms);
  proto.set_made_before_unix_ms(which.made_before_unix_ms);
  proto.set_unknown_maker(which.unknown_maker);
  proto.set_validate_only(request.validate_only);
  return proto;
}

Result<domain::ForgetRequest> FromProto(const v1::ForgetResultsRequest& proto) {
  domain::ForgetRequest request{.request_id = proto.request_id(),
                                .which = {.worker = proto.worker(),
                                          .toolchain_version = proto.toolchain_version(),
                                          .made_from_unix_ms = proto.made_from_unix_ms(),
                                          .made_before_unix_ms = proto.made_before_unix_ms(),
                                          .unknown_maker = proto.unknown_maker()},
                                .validate_only = proto.validate_only()};
  if (!proto.job_id().empty()) {
    TYLLM_ASSIGN(request.which.job, IdFromProto<domain::JobId>(proto.job_id(), "job_id"));
  }
  if (!proto.task_id().empty()) {
    TYLLM_ASSIGN(request.which.task, IdFromProto<domain::TaskId>(proto.task_id(), "task_id"));
  }
  return request;
}

v1::ForgetResultsResponse ToProto(const domain::ForgottenResults& results) {
  v1::ForgetResultsResponse proto;
  proto.set_results(results.results);
  proto.set_unfinished(results.unfinished);
  proto.set_unknown(results.unknown);
  return proto;
}

domain::ForgottenResults FromProto(const v1::ForgetResultsResponse& proto) {
  return {.results = proto.results(), .unfinished = proto.unfinished(), .unknown = proto.unknown()};
}

}  // namespace tyllm::wire
