// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/rpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <vector>

#include "server/rpc/services.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/blobs.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::server::rpc {

namespace {

/// As grpc.health.v1 names them.
constexpr std::array kServices{
    v1::JobService::service_full_name(), v1::WorkerService::service_full_name(),
    v1::BlobService::service_full_name(), v1::AdminService::service_full_name()};

std::string LocalAddressOf(const std::string& address, const std::string& socket) {
  if (!socket.empty()) {
    return "unix:" + socket;
  }
  const std::size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  return host == "0.0.0.0" || host == "[::]" ? "127.0.0.1" + address.substr(colon) : address;
}

}  // namespace

struct RpcServer::State {
  std::string address;
  std::string local_address;
  std::vector<std::unique_ptr<grpc::Service>> services;  // outlive the server
  std::unique_ptr<grpc::Server> server;
};

RpcServer::RpcServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<RpcServer>> RpcServer::Start(const Environment& environment,
                                                    const Options& options) {
  TYLLM_ASSIGN(const auto credentials,
               wire::MakeServerCredentials(options.listen, options.security));
  auto state = std::make_unique<State>();
  state->services.push_back(MakeJobService(environment));
  state->services.push_back(MakeWorkerService(environment));
  state->services.push_back(MakeBlobService(environment));
  state->services.push_back(MakeAdminService(environment));

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  wire::ConfigureServer(builder);
  int port = 0;
  int socket = 0;
  builder.AddListeningPort(options.listen, credentials, &port);
  if (!options.local_socket.empty()) {
    builder.AddListeningPort("unix:" + options.local_socket, grpc::InsecureServerCredentials(),
                             &socket);
  }
  for (const auto& service : state->services) {
    builder.RegisterService(service.get());
  }
  state->server = builder.BuildAndStart();
  if (!state->server && port != 0 && socket == 0 && !options.local_socket.empty()) {
    return InvalidArgument("cannot listen on the socket " + options.local_socket +
                           "; a socket's path has at most 107 characters: give another --data");
  }
  if (!state->server || port == 0) {
    return Unavailable(
        "cannot listen for gRPC on " + options.listen +
        "; is another program using the port, or is the address not this machine's?");
  }
  if (!options.local_socket.empty() && ::chmod(options.local_socket.c_str(), 0600) != 0) {
    return FromErrno(errno, "keeping others from the socket " + options.local_socket);
  }
  state->address = options.listen.substr(0, options.listen.rfind(':') + 1) + std::to_string(port);
  state->local_address = LocalAddressOf(state->address, options.local_socket);
  std::unique_ptr<RpcServer> server(new RpcServer(std::move(state)));
  server->SetServing(false);
  return server;
}

RpcServer::~RpcServer() {
  Shutdown(Milliseconds(0));
}

const std::string& RpcServer::address() const {
  return state_->address;
}

std::string RpcServer::local_address() const {
  return state_->local_address;
}

void RpcServer::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface& health = *state_->server->GetHealthCheckService();
  health.SetServingStatus(serving);  // the server as a whole, and all that are named
  for (const char* const service : kServices) {
    health.SetServingStatus(service, serving);
  }
}

void RpcServer::Shutdown(Milliseconds grace) {
  if (state_->server) {
    state_->server->Shutdown(std::chrono::system_clock::now() + grace);
    state_->server.reset();
  }
}

}  // namespace tyllm::server::rpc
