// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "client/api/farm.h"

namespace tyllm::client {

/// How the server is reached.
struct Address {
  std::string server;  ///< HOST:PORT
  Path ca;  ///< PEM file of the authority that signed the server's certificate; empty: no TLS
  Path certificate;  ///< this client's own, for mutual TLS
  Path key;
};

/// No call is made yet: a server that is not there is told by the first call.
Result<std::unique_ptr<Farm>> Connect(const Address& address, const Clock& clock,
                                      Milliseconds patience);

}  // namespace tyllm::client
