// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include "server/store/log_files.h"

namespace tyllm::server::store {

/// LogFiles behind a thread of their own, so that syncing a log delays no commit.
class LogStore {
 public:
  LogStore(FileSystem& files, Path root) : files_(files, std::move(root)) {}

  ~LogStore() { Stop(); }

  boost::asio::awaitable<Result<std::int64_t>> Append(domain::AttemptId id, std::int64_t offset,
                                                      std::string bytes);
  boost::asio::awaitable<Result<std::int64_t>> Size(domain::AttemptId id);
  boost::asio::awaitable<Result<std::string>> Read(domain::AttemptId id, std::int64_t offset,
                                                   std::int64_t limit);
  boost::asio::awaitable<Status> Remove(domain::TaskId task);
  boost::asio::awaitable<Result<std::vector<domain::TaskId>>> Tasks();
  /// Finishes what was begun and ends the thread. Idempotent.
  void Stop();

 private:
  LogFiles files_;
  boost::asio::thread_pool thread_{1};
};

}  // namespace tyllm::server::store
