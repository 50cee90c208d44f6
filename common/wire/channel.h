// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace grpc {
class Channel;
class ServerBuilder;
class ServerCredentials;
}  // namespace grpc

namespace tyllm::wire {

/// PEM files of one end of a connection; empty: none.
struct TlsFiles {
  std::string ca;           ///< certificates that vouch for the other end
  std::string certificate;  ///< of this end, with its chain
  std::string key;          ///< of `certificate`
};

struct Security {
  TlsFiles tls;
  bool insecure = false;  ///< no encryption, on any address; for trusted networks only
};

/// "127.0.0.1:7000", "localhost:7000", "[::1]:7000" or "unix:...": nobody else is listening.
bool IsLoopback(std::string_view address);

/// A connection to a server that is made when it is first used. Every call makes a connection of
/// its own: use one for worker syncs and another for blobs, so that a large transfer does not hold
/// up the heartbeat. With `ca`: TLS, and with a certificate also mutual. Without: plain, which is
/// kInvalidArgument for an address that is not loopback unless `insecure` says so.
Result<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                   const Security& security);

/// gRPC lets a pause pass between looks for a server that is not there, in which every call fails;
/// this ends the pause, and waits up to `limit` for a connection. The calls of a channel that is
/// not connected fail with what was found the last time.
void ConnectAtOnce(grpc::Channel& channel, Milliseconds limit = Milliseconds(0));

/// With a certificate: TLS, and with `ca` clients must have one that it vouches for. Without:
/// plain, under the same rule as MakeChannel.
Result<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const std::string& address,
                                                                       const Security& security);

/// Keepalive that agrees with MakeChannel's, and message sizes.
void ConfigureServer(grpc::ServerBuilder& builder);

}  // namespace tyllm::wire
