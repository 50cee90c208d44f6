// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/result.h"
#include "common/domain/project.h"
#include "tyllm/v1/admin.pb.h"

// Projects of tyllm/v1/admin.proto <-> domain; rules as in types.h.
namespace tyllm::wire {

v1::Project ToProto(const domain::Project& project);
/// A weight that is absent means 1.
domain::Project FromProto(const v1::Project& project);

v1::ProjectUse ToProto(const domain::ProjectUse& use);
domain::ProjectUse FromProto(const v1::ProjectUse& use);

v1::ListProjectsRequest ToProto(const domain::ProjectQuery& query);
domain::ProjectQuery FromProto(const v1::ListProjectsRequest& request);

v1::ListProjectsResponse ToProto(const domain::ProjectPage& page);
domain::ProjectPage FromProto(const v1::ListProjectsResponse& response);

}  // namespace tyllm::wire
