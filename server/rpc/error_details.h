// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/domain/validation.h"
#include "common/wire/status.h"

namespace tyllm::server::rpc {

/// What an error of a method tells a program: the reason by server/rpc/reasons.h, the field that
/// the message names, what has to be true first, when to try again.
wire::ErrorDetails DetailsFor(std::string_view method, const Status& status);

/// Of an answer that does not fit into a message. Trying again would not help.
Status AnswerTooLarge(std::size_t bytes);

/// Of a caller that may not call the method.
wire::ErrorDetails DetailsOfRefusal(std::string_view method);

/// Of a request that was refused for these.
wire::ErrorDetails DetailsFor(const std::vector<domain::Problem>& problems);

}  // namespace tyllm::server::rpc
