// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "server/rpc/environment.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace tyllm::server::rpc {

// One file a service; a method is a few lines over a use case (docs/howto/add-rpc.md).
std::unique_ptr<grpc::Service> MakeJobService(const Environment& environment);
std::unique_ptr<grpc::Service> MakeWorkerService(const Environment& environment);
std::unique_ptr<grpc::Service> MakeBlobService(const Environment& environment);
std::unique_ptr<grpc::Service> MakeAdminService(const Environment& environment);

}  // namespace tyllm::server::rpc
