// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/core/farm.h"

namespace tyllm::server::core {

/// To be called before attempts are judged by their clocks: when the server itself stood still
/// since the last call or beat (it was stopped, its machine swapped or slept), it has heard nobody
/// for as long, and that time counts against no attempt and no worker.
void NoteAwake(Farm& farm);

/// Looks at every beat (sched::Policy), until it is cancelled.
boost::asio::awaitable<void> StayAwake(Farm& farm);

}  // namespace tyllm::server::core
