// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/format/json.h"
#include "common/wire/admin.h"
#include "common/wire/enums.h"
#include "common/wire/projects.h"
#include "common/wire/results.h"
#include "server/core/copy_queue.h"
#include "server/core/forget_results.h"
#include "server/core/forget_worker.h"
#include "server/core/list_workers.h"
#include "server/core/projects.h"
#include "server/core/server_info.h"
#include "server/core/set_worker_mode.h"
#include "server/rpc/asked_by.h"
#include "server/rpc/name_pages.h"
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

bool Fits(const domain::WorkerView& worker, const domain::WorkerQuery& query) {
  if (query.online_only && !worker.online) {
    return false;
  }
  if (!query.modes.empty() &&
      std::ranges::find(query.modes, worker.order.mode) == query.modes.end()) {
    return false;
  }
  return std::ranges::all_of(query.labels, [&](const auto& label) {
    const auto it = worker.capabilities.labels.find(label.first);
    return it != worker.capabilities.labels.end() &&
           (label.second.empty() || it->second == label.second);
  });
}

// All that makes two listings different.
std::string ListingOf(const domain::WorkerQuery& query) {
  std::string text = query.online_only ? "workers online" : "workers";
  for (const domain::WorkerMode mode : query.modes) {
    text += " " + std::string(domain::kWorkerModeNames.Name(mode));
  }
  return text + format::ToJson(query.labels).dump();
}

boost::asio::awaitable<Result<v1::ListWorkersResponse>> ListWorkersThatFit(
    core::Farm& farm, domain::WorkerQuery query) {
  TYLLM_CO_ASSIGN(const NamePage page,
                  NamePageOf(query.page_size, query.page_token, ListingOf(query)));
  TYLLM_CO_ASSIGN(std::vector<domain::WorkerView> workers, co_await core::ListWorkers(farm));
  std::erase_if(workers, [&](const domain::WorkerView& worker) { return !Fits(worker, query); });
  v1::ListWorkersResponse response;
  FillPage(
      std::move(workers), page, &domain::WorkerView::name,
      [](const domain::WorkerView& worker) { return wire::ToProto(worker); },
      [](v1::ListWorkersResponse& to) { return to.add_workers(); }, response);
  co_return response;
}

boost::asio::awaitable<Result<v1::ListProjectsResponse>> ListProjectsOfPage(
    core::Farm& farm, domain::ProjectQuery query) {
  TYLLM_CO_ASSIGN(const NamePage page, NamePageOf(query.page_size, query.page_token, "projects"));
  TYLLM_CO_ASSIGN(std::vector<domain::ProjectUse> projects, co_await core::ListProjects(farm));
  v1::ListProjectsResponse response;
  FillPage(
      std::move(projects), page, [](const domain::ProjectUse& use) { return use.project.name; },
      [](const domain::ProjectUse& use) { return wire::ToProto(use); },
      [](v1::ListProjectsResponse& to) { return to.add_projects(); }, response);
  co_return response;
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
                                        const v1::ListWorkersRequest* request,
                                        v1::ListWorkersResponse* response) override {
    return Unary(
        environment_, *context, "AdminService.ListWorkers", control(), wire::FromProto(*request),
        ListWorkersThatFit, response,
        [](v1::ListWorkersResponse page, v1::ListWorkersResponse& to) { to = std::move(page); });
  }

  grpc::ServerUnaryReactor* SetWorkerMode(grpc::CallbackServerContext* context,
                                          const v1::SetWorkerModeRequest* request,
                                          v1::SetWorkerModeResponse* response) override {
    return Unary(environment_, *context, "AdminService.SetWorkerMode", control(),
                 AskedBy(*context, OrderOf(*request)), core::SetWorkerMode, response,
                 [](const domain::WorkerView& worker, v1::SetWorkerModeResponse& to) {
                   *to.mutable_worker() = wire::ToProto(worker);
                 });
  }

  grpc::ServerUnaryReactor* ForgetWorker(grpc::CallbackServerContext* context,
                                         const v1::ForgetWorkerRequest* request,
                                         v1::ForgetWorkerResponse* response) override {
    return Unary(
        environment_, *context, "AdminService.ForgetWorker", control(),
        AskedBy(*context, Result(core::WorkerToForget{request->worker(), request->request_id()})),
        core::ForgetWorker, response, [](core::Forgotten, v1::ForgetWorkerResponse&) {});
  }

  grpc::ServerUnaryReactor* ForgetResults(grpc::CallbackServerContext* context,
                                          const v1::ForgetResultsRequest* request,
                                          v1::ForgetResultsResponse* response) override {
    return Unary(environment_, *context, "AdminService.ForgetResults", control(),
                 wire::FromProto(*request), core::ForgetResults, response,
                 [](const domain::ForgottenResults& results, v1::ForgetResultsResponse& to) {
                   to = wire::ToProto(results);
                 });
  }

  grpc::ServerUnaryReactor* ListProjects(grpc::CallbackServerContext* context,
                                         const v1::ListProjectsRequest* request,
                                         v1::ListProjectsResponse* response) override {
    return Unary(
        environment_, *context, "AdminService.ListProjects", control(),
        Result(wire::FromProto(*request)), ListProjectsOfPage, response,
        [](v1::ListProjectsResponse page, v1::ListProjectsResponse& to) { to = std::move(page); });
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
    return Unary(
        environment_, *context, "AdminService.SetProject", control(),
        AskedBy(*context,
                Result(domain::ProjectChange{.request_id = request->request_id(),
                                             .project = wire::FromProto(request->project()),
                                             .etag = request->etag()})),
        core::SetProject, response, [](const domain::Project& project, v1::SetProjectResponse& to) {
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
