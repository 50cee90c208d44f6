// SPDX-License-Identifier: Apache-2.0
#include "server/store/log_store.h"

#include "server/store/on_executor.h"

namespace tyllm::server::store {

boost::asio::awaitable<Result<std::int64_t>> LogStore::Append(domain::AttemptId id,
                                                              std::int64_t offset,
                                                              std::string bytes) {
  co_return co_await OnExecutor(thread_.get_executor(),
                                [&] { return files_.Append(id, offset, bytes); });
}

boost::asio::awaitable<Result<std::int64_t>> LogStore::Size(domain::AttemptId id) {
  co_return co_await OnExecutor(thread_.get_executor(), [&] { return files_.Size(id); });
}

boost::asio::awaitable<Result<std::string>> LogStore::Read(domain::AttemptId id,
                                                           std::int64_t offset,
                                                           std::int64_t limit) {
  co_return co_await OnExecutor(thread_.get_executor(),
                                [&] { return files_.Read(id, offset, limit); });
}

boost::asio::awaitable<Status> LogStore::Remove(domain::TaskId task) {
  co_return co_await OnExecutor(thread_.get_executor(), [&] { return files_.Remove(task); });
}

boost::asio::awaitable<Result<std::vector<domain::TaskId>>> LogStore::Tasks() {
  co_return co_await OnExecutor(thread_.get_executor(), [&] { return files_.Tasks(); });
}

void LogStore::Stop() {
  thread_.join();
}

}  // namespace tyllm::server::store
