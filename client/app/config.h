// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "client/api/connect.h"

namespace tyllm::client {

/// Defaults from the environment: TYLLM_SERVER, TYLLM_TLS_CA, TYLLM_TLS_CERT, TYLLM_TLS_KEY.
Address AddressFromEnvironment();

}  // namespace tyllm::client
