// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server_context.h>

#include <string>
#include <utility>

#include "common/domain/job_changes.h"
#include "common/domain/project.h"
#include "server/core/forget_worker.h"
#include "server/core/set_worker_mode.h"
#include "server/rpc/roles.h"

namespace tyllm::server::rpc {

// Where a request says who asks.
inline std::string& ByOf(domain::SubmitRequest& request) {
  return request.by;
}

inline std::string& ByOf(domain::JobChange& change) {
  return change.by;
}

inline std::string& ByOf(domain::RetryRequest& request) {
  return request.change.by;
}

inline std::string& ByOf(domain::UpdateRequest& request) {
  return request.change.by;
}

inline std::string& ByOf(domain::ProjectChange& change) {
  return change.by;
}

inline std::string& ByOf(core::WorkerOrder& order) {
  return order.order.by;
}

inline std::string& ByOf(core::WorkerToForget& which) {
  return which.by;
}

/// The request, with the name of its caller: no message says it, only the connection does.
template <typename Request>
Result<Request> AskedBy(const grpc::ServerContextBase& context, Result<Request> request) {
  if (request.ok()) {
    ByOf(*request) = CallerOf(*context.auth_context());
  }
  return request;
}

}  // namespace tyllm::server::rpc
