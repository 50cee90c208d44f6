// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/views.h"
#include "common/wire/workers.h"
#include "tyllm/v1/admin.pb.h"

// tyllm/v1/admin.proto <-> domain; rules as in types.h.
namespace tyllm::wire {

v1::GetServerInfoResponse ToProto(const domain::ServerInfo& info);
Result<domain::ServerInfo> FromProto(const v1::GetServerInfoResponse& response);

v1::Worker ToProto(const domain::WorkerView& worker);
Result<domain::WorkerView> FromProto(const v1::Worker& worker);

v1::ListWorkersRequest ToProto(const domain::WorkerQuery& query);
Result<domain::WorkerQuery> FromProto(const v1::ListWorkersRequest& request);

v1::ListWorkersResponse ToProto(const domain::WorkerPage& page);
Result<domain::WorkerPage> FromProto(const v1::ListWorkersResponse& response);

}  // namespace tyllm::wire
