// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "client/api/farm.h"
#include "common/wire/channel.h"

namespace tyllm::client {

/// How the server is reached.
struct Address {
  std::string server;  ///< HOST:PORT
  wire::Security security;
};

/// No call is made yet: a server that is not there is told by the first call.
Result<std::unique_ptr<Farm>> Connect(const Address& address, const Clock& clock,
                                      Milliseconds patience);

}  // namespace tyllm::client
