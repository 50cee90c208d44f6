// SPDX-License-Identifier: Apache-2.0
// The only unit of a running program here that calls a server.
#include "server/app/copy_request.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>

#include "common/format/json.h"
#include "common/wire/channel.h"
#include "common/wire/deadline.h"
#include "common/wire/status.h"
#include "tyllm/v1/admin.grpc.pb.h"

namespace tyllm::server::app {

namespace {

constexpr std::chrono::hours kLongestCopy{1};

Result<std::string> LocalAddress(const Path& data) {
  const Path file = data / "server.json";
  TYLLM_ASSIGN(const std::string text, LocalFileSystem().Read(file));
  TYLLM_ASSIGN(const format::Json json, format::ParseJson(text, file.string()));
  if (!json.is_object() || !json.contains("local") || !json["local"].is_string()) {
    return FailedPrecondition(file.string() +
                              " does not say where the running server is called from this machine; "
                              "it is of another version, stop it first");
  }
  return json["local"].get<std::string>();
}

}  // namespace

Result<Path> AskForCopy(const Path& data) {
  TYLLM_ASSIGN(const std::string address, LocalAddress(data));
  TYLLM_ASSIGN(const auto channel, wire::MakeChannel(address, {}));
  const auto stub = v1::AdminService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(wire::DeadlineIn(kLongestCopy));
  context.set_wait_for_ready(false);
  v1::CopyQueueResponse response;
  TYLLM_TRY(wire::FromGrpc(stub->CopyQueue(&context, {}, &response))
                .Annotate("asking the server at " + address));
  return Path(response.path());
}

}  // namespace tyllm::server::app
