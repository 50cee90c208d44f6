// SPDX-License-Identifier: Apache-2.0
#include "client/app/config.h"

#include <cstdlib>

namespace tyllm::client {

namespace {

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Address AddressFromEnvironment() {
  return {
      .server = Variable("TYLLM_SERVER"),
      .security = {.tls = {.ca = Variable("TYLLM_TLS_CA"),
                           .certificate = Variable("TYLLM_TLS_CERT"),
                           .key = Variable("TYLLM_TLS_KEY")}},
  };
}

}  // namespace tyllm::client
