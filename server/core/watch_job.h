// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/domain/views.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

struct JobEvents {
  std::vector<domain::JobEvent> events;
  bool final = false;  ///< the job's last event is among them or came before
};

/// Follows a job from any event on. One Next at a time; the Farm outlives it. Create and use it on
/// the control thread.
class JobWatch {
 public:
  /// Events with a larger number than `after_event`.
  JobWatch(Farm& farm, domain::JobId job, std::int64_t after_event);

  /// What happened since the last call: stored events in order, each once, then progress of running
  /// tasks that has changed (number 0; the latest only). Waits up to `wait` for something to
  /// happen; an empty answer means that nothing did. kNotFound when there is no such job.
  boost::asio::awaitable<Result<JobEvents>> Next(Milliseconds wait);

 private:
  boost::asio::awaitable<Result<JobEvents>> Read();
  void AddProgress(const domain::JobView& job, std::vector<domain::JobEvent>& events);

  Farm& farm_;
  domain::JobId job_;
  std::int64_t after_event_;
  Signals::Subscription changes_;
  std::map<domain::TaskId, domain::Progress> shown_;
};

}  // namespace tyllm::server::core
