// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "server/core/farm.h"

namespace tyllm::testing {

/// A server's core without network, whose calls run to their end one after another. Destroying it
/// is as kill -9: what is only in memory is gone.
class BareFarm {
 public:
  /// All of it outlives the farm.
  struct Place {
    FileSystem& files;
    Path folder;
    std::string vfs;  ///< of the database; empty: the machine's
    const Clock& clock;
    server::core::Limits limits = {};
  };

  /// Takes up what is in the folder. An error when its disk fails.
  static Result<std::unique_ptr<BareFarm>> Open(const Place& place);
  ~BareFarm();

  server::core::Farm& farm() { return *farm_; }

  server::blobs::BlobStore& blobs() { return *blobs_; }

  /// Runs a coroutine to its end.
  template <typename T>
  T Await(boost::asio::awaitable<T> work) {
    std::optional<T> result;
    boost::asio::co_spawn(*control_, Keep(std::move(work), result), boost::asio::detached);
    control_->restart();
    while (!result) {
      TYLLM_CHECK(control_->run_one() > 0);
    }
    return *std::move(result);
  }

 private:
  BareFarm(const Place& place, std::unique_ptr<server::blobs::BlobStore> blobs,
           std::unique_ptr<server::store::Queue> queue);

  template <typename T>
  static boost::asio::awaitable<void> Keep(boost::asio::awaitable<T> work,
                                           std::optional<T>& result) {
    result.emplace(co_await std::move(work));
  }

  telemetry::Metrics metrics_;
  boost::asio::thread_pool blocking_{1};
  std::unique_ptr<server::blobs::BlobStore> blobs_;
  std::unique_ptr<boost::asio::io_context> control_;
  std::unique_ptr<server::store::Store> store_;
  std::unique_ptr<server::store::LogStore> logs_;
  std::unique_ptr<server::core::Farm> farm_;
};

}  // namespace tyllm::testing
