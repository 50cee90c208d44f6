// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "common/base/status.h"
#include "server/store/queue.h"

namespace tyllm::server::store {

/// What is to be done with a queue, on its way, and who waits for its result.
class Operation {
 public:
  virtual ~Operation() = default;
  enum class Mode : std::uint8_t {
    kShared,  ///< with others, and told when all that it saw is durable
    kAlone,   ///< so, but outside of any transaction
    kGlance,  ///< with others; told at once
  };

  virtual Mode mode() const = 0;
  /// Returns the status of what the work returned, which is kept until Answer.
  virtual Status Perform(Queue& queue) = 0;
  /// Makes `status` the result when that is an error.
  virtual void Settle(const Status& status) = 0;
  /// Where who waits wants to be answered.
  virtual const boost::asio::any_io_executor& executor() const = 0;
  /// Hands the result to who waits. There; once, after Settle.
  virtual void Answer() = 0;
};

using Operations = std::deque<std::unique_ptr<Operation>>;

/// Has those that wait answered, each with its result unless `status` is an error: to each executor
/// with one call. Threads: any.
void Finish(Operations operations, const Status& status);

}  // namespace tyllm::server::store
