// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "common/wire/channel.h"
#include "server/rpc/environment.h"

namespace tyllm::server::rpc {

/// The gRPC front end: the services of tyllm.v1, grpc.health.v1 and reflection. Its calls run on
/// the farm's executors, which must run until Shutdown has returned.
class RpcServer {
 public:
  struct Options {
    std::string listen;  ///< "HOST:PORT"; port 0 takes a free one
    wire::Security security;
    std::string local_socket;  ///< also listens, without TLS, on this path; empty: no
  };

  /// Listens; health says NOT_SERVING until SetServing.
  static Result<std::unique_ptr<RpcServer>> Start(const Environment& environment,
                                                  const Options& options);
  ~RpcServer();

  /// "HOST:PORT" with the port that it got.
  const std::string& address() const;

  /// For callers on this machine: the local socket, or the address with an "any" host replaced.
  std::string local_address() const;

  void SetServing(bool serving);

  /// Takes no new calls, gives those that run `grace` to end and cancels the rest. Idempotent.
  void Shutdown(Milliseconds grace);

 private:
  struct State;
  explicit RpcServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tyllm::server::rpc
