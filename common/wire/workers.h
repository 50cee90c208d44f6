// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/worker_sync.h"
#include "common/wire/types.h"
#include "tyllm/v1/workers.pb.h"

// tyllm/v1/workers.proto <-> domain; rules as in types.h.
namespace tyllm::wire {

v1::Capabilities ToProto(const domain::Capabilities& capabilities);
Result<domain::Capabilities> FromProto(const v1::Capabilities& capabilities);

v1::Held ToProto(const domain::HeldAttempt& held);
Result<domain::HeldAttempt> FromProto(const v1::Held& held);

v1::SyncRequest ToProto(const domain::SyncRequest& request);
Result<domain::SyncRequest> FromProto(const v1::SyncRequest& request);

v1::Assignment ToProto(const domain::Assignment& assignment);
Result<domain::Assignment> FromProto(const v1::Assignment& assignment);

v1::SyncResponse ToProto(const domain::SyncReply& reply);
Result<domain::SyncReply> FromProto(const v1::SyncResponse& response);

v1::AppendLogRequest ToProto(domain::LogAppend append);
Result<domain::LogAppend> FromProto(const v1::AppendLogRequest& request);

}  // namespace tyllm::wire
