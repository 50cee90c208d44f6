// SPDX-License-Identifier: Apache-2.0
#include "common/wire/admin.h"
#include "common/wire/enums.h"
#include "common/wire/projects.h"
#include "server/core/copy_queue.h"
#include "server/core/forget_worker.h"
#include "server/core/list_workers.h"
#include "server/core/projects.h"
#include "server/core/server_info.h"
#include "server/core/set_worker_mode.h"
#include "server/rpc/services.h"
#include "server/rpc/unary.h"
#include "tyllm/v1/admin.grpc.pb.h"

namespace tyllm::server::rpc {

namespace {

Result<core::WorkerOrder> OrderOf(const v1::SetWorkerModeRequest& request) {
  core::WorkerOrder order;
  order.worker = request.worker();
  order.order.reason = request.reason();
  order.request_id = request.request_id();
  TYLLM_ASSIGN(order.order.mode, wire::EnumFromProto<domain::WorkerMode>(request.mode(), "mode"));
  return order;
}

class AdminService final : public v1::AdminService::CallbackService {
 public:
  explicit AdminService(const Environment& environment) : environment_(environment) {}

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* /*request*/,
                                          v1::GetServerInfoResponse* response) override {
    return Unary(
        environment_, *context, "AdminService.GetServerInfo", control(), Result(Nothing{}),
        [](core::Farm& farm, Nothing) { return core::GetServerInfo(farm); }, response,
        [](const domain::ServerInfo& info, v1::GetServerInfoResponse& to) {
          to = wire::ToProto(info);
        });
  }

  grpc::ServerUnaryReactor* ListWorkers(grpc::CallbackServerContext* context,
                                        const v1::ListWorkersRequest* /*request*/,
                                        v1::ListWorkersResponse* response) override {
    return Unary(
        environment_, *context, "AdminService.ListWorkers", control(), Result(Nothing{}),
        [](core::Farm& farm, Nothing) { return core::ListWorkers(farm); }, response,
        [](const std::vector<domain::WorkerView>& workers, v1::ListWorkersResponse& to) {
          to = wire::ToProto(workers);
        });
  }

  grpc::ServerUnaryReactor* SetWorkerMode(grpc::CallbackServerContext* context,
                                          const v1::SetWorkerModeRequest* request,
                                          v1::SetWorkerModeResponse* response) override {
    return Unary(environment_, *context, "AdminService.SetWorkerMode", control(), OrderOf(*request),
                 core::SetWorkerMode, response,
                 [](const domain::WorkerView& worker, v1::SetWorkerModeResponse& to) {
                   *to.mutable_worker() = wire::ToProto(worker);
                 });
  }

  grpc::ServerUnaryReactor* ForgetWorker(grpc::CallbackServerContext* context,
                                         const v1::ForgetWorkerRequest* request,
                                         v1::ForgetWorkerResponse* response) override {
    return Unary(environment_, *context, "AdminService.ForgetWorker", control(),
                 Result(core::WorkerToForget{request->worker(), request->request_id()}),
                 core::ForgetWorker, response, [](core::Forgotten, v1::ForgetWorkerResponse&) {});
  }

  grpc::ServerUnaryReactor* ListProjects(grpc::CallbackServerContext* context,
                                         const v1::ListProjectsRequest* /*request*/,
                                         v1::ListProjectsResponse* response) override {
    return Unary(
        environment_, *context, "AdminService.ListProjects", control(), Result(Nothing{}),
        [](core::Farm& farm, Nothing) { return core::ListProjects(farm); }, response,
        [](const std::vector<domain::ProjectUse>& projects, v1::ListProjectsResponse& to) {
          to = wire::ToProto(projects);
        });
  }

  grpc::ServerUnaryReactor* CopyQueue(grpc::CallbackServerContext* context,
                                      const v1::CopyQueueRequest* /*request*/,
                                      v1::CopyQueueResponse* response) override {
    return Unary(
        environment_, *context, "AdminService.CopyQueue", control(), Result(Nothing{}),
        [](core::Farm& farm, Nothing) { return core::CopyQueue(farm); }, response,
        [](const core::QueueCopy& copy, v1::CopyQueueResponse& to) {
          to.set_path(copy.path.string());
          to.set_schema_version(copy.schema_version);
          to.set_unix_ms(copy.unix_ms);
        });
  }

  grpc::ServerUnaryReactor* SetProject(grpc::CallbackServerContext* context,
                                       const v1::SetProjectRequest* request,
                                       v1::SetProjectResponse* response) override {
    return Unary(environment_, *context, "AdminService.SetProject", control(),
                 Result(domain::ProjectChange{.request_id = request->request_id(),
                                              .project = wire::FromProto(request->project()),
                                              .etag = request->etag()}),
                 core::SetProject, response,
                 [](const domain::Project& project, v1::SetProjectResponse& to) {
                   *to.mutable_project() = wire::ToProto(project);
                   to.mutable_project()->set_etag(domain::EtagOf(project));
                 });
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
