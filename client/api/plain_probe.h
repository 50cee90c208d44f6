// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"

namespace tyllm::client {

/// Whether a server that is there answers a plain (not encrypted) HTTP/2 greeting: kInvalidArgument
/// when it speaks TLS instead. OK when it does, when nobody is there and when nothing is known
/// within `limit`: the first call will tell. gRPC itself would wait 20 s for the greeting.
Status ProbePlain(const std::string& address, Milliseconds limit);

}  // namespace tyllm::client
