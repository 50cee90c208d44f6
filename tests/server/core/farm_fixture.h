// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "common/domain/views.h"
#include "common/domain/worker_sync.h"
#include "common/format/tree.h"
#include "server/core/farm.h"
#include "tests/support/metric_value.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::core {

using domain::AttemptId;
using domain::HeldAttempt;
using domain::JobId;
using domain::JobKind;
using domain::JobState;
using domain::JobView;
using domain::SyncReply;
using domain::SyncRequest;
using domain::TaskId;
using domain::TaskState;
using domain::WorkerSession;

/// A server's core on a disk of its own and a clock that the test moves. Calls run to their end one
/// after another.
class FarmFixture : public ::testing::Test {
 protected:
  FarmFixture();
  ~FarmFixture() override;

  /// As kill -9 and a new start: what is only in memory is gone.
  void Restart();

  void Advance(Milliseconds by) { clock_.Advance(by); }

  // The use cases.
  Result<JobView> Submit(const std::string& request_id, const domain::JobSpec& spec);
  JobView Get(JobId job);
  Result<JobView> Cancel(JobId job);
  /// With what UseCachedResultsForever does after it.
  Result<SyncReply> Sync(const SyncRequest& request);
  Status Settle();
  Result<std::int64_t> Append(const domain::LogAppend& append);
  Status Sweep();
  Status Order(const std::string& worker, domain::WorkerMode mode);

  /// A job on a model that is in the blob store.
  domain::JobSpec Spec(JobKind kind, std::int64_t dies = 1);
  /// Stores a tree of one file and returns its name.
  BlobId Upload(const std::string& content);
  /// "quantize running, convert waiting; running".
  std::string Show(JobId job);

  /// Runs a coroutine, and what it wakes, to its end.
  template <typename T>
  T Await(boost::asio::awaitable<T> work);

  /// The value of a series of /metrics.
  std::string Counted(const std::string& series) const {
    return testing::MetricValue(metrics_->Text(), series);
  }

  SyncRequest From(const std::string& worker, std::vector<HeldAttempt> held = {},
                   const std::string& session = "s1");
  /// What the worker gets when it has nothing.
  std::vector<domain::Assignment> Ask(const std::string& worker);
  /// Reports and gets the answer.
  SyncReply Report(const std::string& worker, const AttemptId& id, domain::Outcome outcome);

  testing::TemporaryDirectory folder_;
  ManualClock clock_;
  Limits limits_;
  Path copies_;  ///< as Parts::copies, from the next start on
  boost::asio::thread_pool blocking_{1};
  std::unique_ptr<blobs::BlobStore> blobs_;
  std::unique_ptr<boost::asio::io_context> control_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::LogStore> logs_;
  std::unique_ptr<telemetry::Metrics> metrics_;
  std::unique_ptr<Farm> farm_;

 private:
  void Start();
  void Stop();
};

}  // namespace tyllm::server::core
