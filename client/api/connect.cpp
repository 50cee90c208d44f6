// SPDX-License-Identifier: Apache-2.0
#include "client/api/connect.h"

#include "client/api/plain_probe.h"

namespace tyllm::client {

namespace {

constexpr Milliseconds kProbeLimit{2000};

// A server that wants a certificate and gets none breaks the connection off without a word.
std::string AdviceFor(const wire::TlsFiles& tls) {
  const std::string advice = "check --server or TYLLM_SERVER, and that it runs";
  return tls.ca.empty() || !tls.certificate.empty()
             ? advice
             : advice +
                   "; it may want a certificate of this client: --tls-cert and --tls-key "
                   "(TYLLM_TLS_CERT, TYLLM_TLS_KEY)";
}

}  // namespace

Result<std::unique_ptr<Farm>> Connect(const Address& address, const Clock& clock,
                                      Milliseconds patience) {
  TYLLM_ASSIGN(const std::shared_ptr<grpc::Channel> channel,
               wire::MakeChannel(address.server, address.security));
  if (address.security.tls.ca.empty()) {
    TYLLM_TRY(ProbePlain(address.server, kProbeLimit));
  }
  return std::make_unique<Farm>(channel, address.server, clock, patience,
                                AdviceFor(address.security.tls));
}

}  // namespace tyllm::client
