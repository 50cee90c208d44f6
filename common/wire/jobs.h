// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/views.h"
#include "common/wire/types.h"
#include "tyllm/v1/jobs.pb.h"

// tyllm/v1/jobs.proto <-> domain; rules as in types.h.
namespace tyllm::wire {

v1::JobSpec ToProto(const domain::JobSpec& spec);
Result<domain::JobSpec> FromProto(const v1::JobSpec& spec);

v1::Task ToProto(const domain::TaskView& task);
Result<domain::TaskView> FromProto(const v1::Task& task);

v1::Job ToProto(const domain::JobView& job);
Result<domain::JobView> FromProto(const v1::Job& job);

v1::SubmitJobRequest ToProto(const domain::SubmitRequest& request);
Result<domain::SubmitRequest> FromProto(const v1::SubmitJobRequest& request);

v1::ListJobsRequest ToProto(const domain::JobQuery& query);
Result<domain::JobQuery> FromProto(const v1::ListJobsRequest& request);

v1::ListJobsResponse ToProto(const domain::JobPage& page);
Result<domain::JobPage> FromProto(const v1::ListJobsResponse& response);

v1::WatchJobResponse ToProto(const domain::JobEvent& event);
Result<domain::JobEvent> FromProto(const v1::WatchJobResponse& response);

v1::ReadLogResponse ToProto(domain::LogChunk chunk);
domain::LogChunk FromProto(v1::ReadLogResponse response);

}  // namespace tyllm::wire
