// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "common/telemetry/log.h"
#include "common/telemetry/metrics.h"
#include "server/core/farm.h"
#include "server/rpc/open_calls.h"
#include "server/rpc/roles.h"

namespace tyllm::server::rpc {

/// What every service works with; all of it outlives the server.
struct Environment {
  core::Farm& farm;
  telemetry::Metrics& metrics;
  telemetry::Log& log;
  /// A few threads for blobs on their way. A server gives them threads of their own: resuming a
  /// large upload reads all that came, and what the farm looks at must not wait for that.
  boost::asio::any_io_executor transfers = farm.parts.blocking;
  /// Who may call what; null: whoever can connect, everything.
  std::shared_ptr<const Roles> roles = nullptr;
  /// An upload that gets no byte for so long is ended; what came is kept.
  Milliseconds upload_idle_limit = std::chrono::seconds(60);
  /// How long a stream without news sleeps before it looks again.
  Milliseconds stream_look_interval = std::chrono::seconds(15);
  std::shared_ptr<OpenCalls> open_calls = std::make_shared<OpenCalls>();  ///< never null
};

}  // namespace tyllm::server::rpc
