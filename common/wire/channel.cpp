// SPDX-License-Identifier: Apache-2.0
#include "common/wire/channel.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "common/base/file_system.h"
#include "common/wire/deadline.h"
#include "common/wire/limits.h"

namespace tyllm::wire {

namespace {

constexpr int kKeepaliveMillis = 60'000;         ///< how often either end pings an idle connection
constexpr int kKeepaliveTimeoutMillis = 20'000;  ///< no answer for so long: the connection is dead
constexpr int kShortestPingMillis = 10'000;      ///< pings more often than this are an offence
constexpr int kLongestReconnectMillis = 3'000;

struct Pem {
  std::string ca;
  std::string certificate;
  std::string key;
};

Result<std::string> ReadPem(const std::string& path, std::string_view what) {
  if (path.empty()) {
    return std::string();
  }
  TYLLM_ASSIGN(std::string text, LocalFileSystem().Read(path).Annotate(what));
  if (text.find("-----BEGIN ") == std::string::npos) {
    return InvalidArgument(std::string(what) + ": " + path +
                           " has no '-----BEGIN' line, expected a PEM file");
  }
  return text;
}

Result<Pem> ReadAll(const TlsFiles& files) {
  if (files.certificate.empty() != files.key.empty()) {
    return InvalidArgument(files.key.empty()
                               ? "a TLS certificate is given without its key; give both"
                               : "a TLS key is given without its certificate; give both");
  }
  Pem pem;
  TYLLM_ASSIGN(pem.ca, ReadPem(files.ca, "TLS ca"));
  TYLLM_ASSIGN(pem.certificate, ReadPem(files.certificate, "TLS certificate"));
  TYLLM_ASSIGN(pem.key, ReadPem(files.key, "TLS key"));
  return pem;
}

Status CheckPlain(const std::string& address, const Security& security,
                  std::string_view what_to_give) {
  if (security.insecure || IsLoopback(address)) {
    return OkStatus();
  }
  return InvalidArgument(
      address + " is not this machine and the connection would not be encrypted;" + " give " +
      std::string(what_to_give) + ", or allow it with the 'insecure' setting");
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMillis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestReconnectMillis);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return arguments;
}

}  // namespace

bool IsLoopback(std::string_view address) {
  const std::string_view host = address.substr(0, address.rfind(':'));
  return address.starts_with("unix:") || host == "localhost" || host == "[::1]" ||
         (host.starts_with("127.") &&
          host.find_first_not_of("0123456789.") == std::string_view::npos);
}

Result<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                   const Security& security) {
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (security.tls.ca.empty()) {
    TYLLM_TRY(CheckPlain(address, security, "a TLS CA file"));
    credentials = grpc::InsecureChannelCredentials();
  } else {
    TYLLM_ASSIGN(const Pem pem, ReadAll(security.tls));
    credentials = grpc::SslCredentials({pem.ca, pem.key, pem.certificate});
  }
  return grpc::CreateCustomChannel(address, credentials, Arguments());
}

void ConnectAtOnce(grpc::Channel& channel, Milliseconds limit) {
  grpc::experimental::ChannelResetConnectionBackoff(&channel);
  if (limit > Milliseconds(0)) {
    (void)channel.WaitForConnected(DeadlineIn(limit));  // the next call tells why not
  }
}

Result<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const std::string& address,
                                                                       const Security& security) {
  TYLLM_ASSIGN(const Pem pem, ReadAll(security.tls));
  if (pem.certificate.empty()) {
    if (!pem.ca.empty()) {
      return InvalidArgument("a TLS CA is given without a server certificate; give both");
    }
    TYLLM_TRY(CheckPlain(address, security, "a TLS certificate and key"));
    return grpc::InsecureServerCredentials();
  }
  grpc::SslServerCredentialsOptions options(
      pem.ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                     : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = pem.ca;
  options.pem_key_cert_pairs.push_back({pem.key, pem.certificate});
  return grpc::SslServerCredentials(options);
}

void ConfigureServer(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMillis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kShortestPingMillis);
  // Two servers on one port would each get some of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
}

}  // namespace tyllm::wire
