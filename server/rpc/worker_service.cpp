// SPDX-License-Identifier: Apache-2.0
#include "common/wire/workers.h"
#include "server/core/append_log.h"
#include "server/core/sync_worker.h"
#include "server/rpc/services.h"
#include "server/rpc/unary.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::server::rpc {

namespace {

class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  explicit WorkerService(const Environment& environment) : environment_(environment) {}

  grpc::ServerUnaryReactor* Sync(grpc::CallbackServerContext* context,
                                 const v1::SyncRequest* request,
                                 v1::SyncResponse* response) override {
    return Unary(
        environment_, *context, "WorkerService.Sync", environment_.farm.parts.control,
        wire::FromProto(*request), core::SyncWorker, response,
        [](const domain::SyncReply& reply, v1::SyncResponse& to) { to = wire::ToProto(reply); });
  }

  grpc::ServerUnaryReactor* AppendLog(grpc::CallbackServerContext* context,
                                      const v1::AppendLogRequest* request,
                                      v1::AppendLogResponse* response) override {
    return Unary(environment_, *context, "WorkerService.AppendLog", environment_.farm.parts.control,
                 wire::FromProto(*request), core::AppendLog, response,
                 [](std::int64_t size, v1::AppendLogResponse& to) { to.set_size(size); });
  }

 private:
  const Environment environment_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeWorkerService(const Environment& environment) {
  return std::make_unique<WorkerService>(environment);
}

}  // namespace tyllm::server::rpc
