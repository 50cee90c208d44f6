// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/validation.h"
#include "common/wire/types.h"
#include "tyllm/v1/jobs.pb.h"

// What would become of a job, and what a server can do (tyllm/v1/jobs.proto) <-> domain; rules as
// in types.h.
namespace tyllm::wire {

v1::Validation ToProto(const domain::Validation& validation);
Result<domain::Validation> FromProto(const v1::Validation& validation);

v1::GetCapabilitiesResponse ToProto(const domain::ServerCapabilities& capabilities);
domain::ServerCapabilities FromProto(const v1::GetCapabilitiesResponse& response);

}  // namespace tyllm::wire
