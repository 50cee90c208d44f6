// SPDX-License-Identifier: Apache-2.0
#include "client/api/connect.h"

namespace tyllm::client {

Result<std::unique_ptr<Farm>> Connect(const Address& address, const Clock& clock,
                                      Milliseconds patience) {
  TYLLM_ASSIGN(const std::shared_ptr<grpc::Channel> channel,
               wire::MakeChannel(address.server, address.security));
  return std::make_unique<Farm>(channel, address.server, clock, patience);
}

}  // namespace tyllm::client
