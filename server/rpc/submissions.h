// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/server_callback.h>

#include <boost/asio/awaitable.hpp>

#include "common/domain/job.h"
#include "server/rpc/call.h"
#include "tyllm/v1/jobs.pb.h"

namespace tyllm::server::rpc {

/// Answers JobService.SubmitJob.
boost::asio::awaitable<Status> SubmitTo(Call& call, core::Farm& farm,
                                        Result<domain::SubmitRequest> request,
                                        v1::SubmitJobResponse* response);

/// Serves one JobService.SubmitJobs: what the client sends is worked on side by side, and what is
/// answered while a message is on its way goes into the next.
grpc::ServerBidiReactor<v1::SubmitJobsRequest, v1::SubmitJobsResponse>* ServeSubmissions(
    const Environment& environment, const grpc::CallbackServerContext& context);

}  // namespace tyllm::server::rpc
