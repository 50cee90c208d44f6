// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/result.h"
#include "common/domain/results.h"
#include "tyllm/v1/admin.pb.h"

// ForgetResults of tyllm/v1/admin.proto <-> domain; rules as in types.h.
namespace tyllm::wire {

v1::ForgetResultsRequest ToProto(const domain::ForgetRequest& request);
Result<domain::ForgetRequest> FromProto(const v1::ForgetResultsRequest& proto);

v1::ForgetResultsResponse ToProto(const domain::ForgottenResults& results);
domain::ForgottenResults FromProto(const v1::ForgetResultsResponse& proto);

}  // namespace tyllm::wire
