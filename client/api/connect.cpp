// SPDX-License-Identifier: Apache-2.0
#include "client/api/connect.h"

#include "client/api/plain_probe.h"

namespace tyllm::client {

namespace {

constexpr Milliseconds kProbeLimit{2000};

}  // namespace

Result<std::unique_ptr<Farm>> Connect(const Address& address, const Clock& clock,
                                      Milliseconds patience) {
  TYLLM_ASSIGN(const std::shared_ptr<grpc::Channel> channel,
               wire::MakeChannel(address.server, address.security));
  if (address.security.tls.ca.empty()) {
    TYLLM_TRY(ProbePlain(address.server, kProbeLimit));
  }
  return std::make_unique<Farm>(channel, address.server, clock, patience);
}

}  // namespace tyllm::client
