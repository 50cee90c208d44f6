// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/farm_link.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "common/wire/channel.h"
#include "common/wire/deadline.h"
#include "common/wire/status.h"
#include "common/wire/workers.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::agent {

namespace {

constexpr std::chrono::seconds kAppendLimit{30};
constexpr Milliseconds kConnectLimit{500};

}  // namespace

struct FarmLink::Stubs {
  std::unique_ptr<v1::WorkerService::Stub> workers;
};

FarmLink::FarmLink(std::shared_ptr<grpc::Channel> channel)
    : channel_(std::move(channel)),
      stubs_(std::make_unique<Stubs>(v1::WorkerService::NewStub(channel_))) {}

FarmLink::~FarmLink() = default;

void FarmLink::ConnectAtOnce() {
  wire::ConnectAtOnce(*channel_, kConnectLimit);
}

Result<domain::SyncReply> FarmLink::Sync(const domain::SyncRequest& request, Milliseconds limit,
                                         const std::stop_token& stop) {
  grpc::ClientContext context;
  context.set_deadline(wire::DeadlineIn(limit));
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::SyncResponse response;
  TYLLM_TRY(wire::FromGrpc(stubs_->workers->Sync(&context, wire::ToProto(request), &response)));
  return wire::FromProto(response);
}

Result<std::int64_t> FarmLink::AppendLog(const domain::LogAppend& append,
                                         const std::stop_token& stop) {
  grpc::ClientContext context;
  context.set_deadline(wire::DeadlineIn(kAppendLimit));
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::AppendLogResponse response;
  TYLLM_TRY(wire::FromGrpc(stubs_->workers->AppendLog(&context, wire::ToProto(append), &response)));
  return response.size();
}

}  // namespace tyllm::agent
