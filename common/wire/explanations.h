// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/explanation.h"
#include "common/wire/jobs.h"
#include "tyllm/v1/jobs.pb.h"

// Why jobs are as they are (tyllm/v1/jobs.proto) <-> domain; rules as in types.h.
namespace tyllm::wire {

v1::AttemptRecord ToProto(const domain::AttemptRecord& attempt);
Result<domain::AttemptRecord> FromProto(const v1::AttemptRecord& attempt);

v1::TaskExplanation ToProto(const domain::TaskExplanation& task);
Result<domain::TaskExplanation> FromProto(const v1::TaskExplanation& task);

v1::ExplainJobResponse ToProto(const domain::JobExplanation& explanation);
Result<domain::JobExplanation> FromProto(const v1::ExplainJobResponse& response);

v1::GetTaskResponse ToProto(const domain::TaskDetail& detail);
Result<domain::TaskDetail> FromProto(const v1::GetTaskResponse& response);

}  // namespace tyllm::wire
