// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/job_changes.h"
#include "common/wire/types.h"
#include "tyllm/v1/jobs.pb.h"

// What is asked of a job (tyllm/v1/jobs.proto) <-> domain; rules as in types.h.
namespace tyllm::wire {

v1::CancelJobRequest ToCancelProto(const domain::JobChange& change);
Result<domain::JobChange> FromProto(const v1::CancelJobRequest& request);

v1::DeleteJobRequest ToDeleteProto(const domain::JobChange& change);
Result<domain::JobChange> FromProto(const v1::DeleteJobRequest& request);

v1::RetryJobRequest ToProto(const domain::RetryRequest& request);
Result<domain::RetryRequest> FromProto(const v1::RetryJobRequest& request);

/// A mask that names anything but priority, labels and labels.<key>, or nothing, is
/// kInvalidArgument.
v1::UpdateJobRequest ToProto(const domain::UpdateRequest& request);
Result<domain::UpdateRequest> FromProto(const v1::UpdateJobRequest& request);

v1::WaitJobRequest ToProto(const domain::WaitRequest& request);
Result<domain::WaitRequest> FromProto(const v1::WaitJobRequest& request);

}  // namespace tyllm::wire
