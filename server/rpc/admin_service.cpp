// SPDX-License-Identifier: Apache-2.0
#include "common/wire/admin.h"
#include "server/core/drain_worker.h"
#include "server/core/list_workers.h"
#include "server/core/server_info.h"
#include "server/rpc/services.h"
#include "server/rpc/unary.h"
#include "tyllm/v1/admin.grpc.pb.h"

namespace tyllm::server::rpc {

namespace {

using boost::asio::awaitable;

awaitable<Result<Nothing>> Drain(core::Farm& farm, v1::DrainWorkerRequest request) {
  TYLLM_CO_TRY(co_await core::DrainWorker(farm, request.worker(), request.drain()));
  co_return Nothing{};
}

class AdminService final : public v1::AdminService::CallbackService {
 public:
  explicit AdminService(const Environment& environment) : environment_(environment) {}

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* /*context*/,
                                          const v1::GetServerInfoRequest* /*request*/,
                                          v1::GetServerInfoResponse* response) override {
    return Unary(
        environment_, "AdminService.GetServerInfo", control(), Result(Nothing{}),
        [](core::Farm& farm, Nothing) { return core::GetServerInfo(farm); }, response,
        [](const domain::ServerInfo& info, v1::GetServerInfoResponse& to) {
          to = wire::ToProto(info);
        });
  }

  grpc::ServerUnaryReactor* ListWorkers(grpc::CallbackServerContext* /*context*/,
                                        const v1::ListWorkersRequest* /*request*/,
                                        v1::ListWorkersResponse* response) override {
    return Unary(
        environment_, "AdminService.ListWorkers", control(), Result(Nothing{}),
        [](core::Farm& farm, Nothing) { return core::ListWorkers(farm); }, response,
        [](const std::vector<domain::WorkerView>& workers, v1::ListWorkersResponse& to) {
          to = wire::ToProto(workers);
        });
  }

  grpc::ServerUnaryReactor* DrainWorker(grpc::CallbackServerContext* /*context*/,
                                        const v1::DrainWorkerRequest* request,
                                        v1::DrainWorkerResponse* response) override {
    return Unary(environment_, "AdminService.DrainWorker", control(), Result(*request), Drain,
                 response, [](Nothing, v1::DrainWorkerResponse&) {});
  }

 private:
  boost::asio::any_io_executor control() const { return environment_.farm.parts.control; }

  const Environment environment_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(const Environment& environment) {
  return std::make_unique<AdminService>(environment);
}

}  // namespace tyllm::server::rpc
