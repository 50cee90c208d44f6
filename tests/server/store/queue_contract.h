// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/store/sqlite_queue.h"
#include "tests/server/store/memory_queue.h"
#include "tests/server/store/samples.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::store {

/// A suite of what every queue promises: derive, and instantiate with kQueues.
class EveryQueue : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) == "memory") {
      queue_ = std::make_unique<MemoryQueue>("1.0");
    } else {
      auto opened =
          OpenSqliteQueue({.file = folder_ / "queue.db", .toolchain_version = "1.0", .vfs = {}});
      ASSERT_TRUE(opened.ok()) << opened.status().ToString();
      queue_ = *std::move(opened);
    }
    ASSERT_TRUE(queue_->Begin().ok());
  }

  JobId Enqueue(const NewJob& job, std::int64_t now = 1000) {
    const auto id = queue_->Enqueue(job, now);
    EXPECT_TRUE(id.ok()) << id.status().ToString();
    return *id;
  }

  AttemptId Start(TaskId task, const WorkerSession& worker = {"gpu1", "s1"},
                  std::int64_t now = 2000) {
    const auto lease = queue_->StartAttempt(task, worker, now);
    EXPECT_TRUE(lease.ok()) << lease.status().ToString();
    return lease->id;
  }

  /// "quantize running t1, convert waiting t2; running".
  std::string Show(JobId id) {
    std::string text;
    const domain::JobView job = *queue_->GetJob(id);
    for (const domain::TaskView& task : job.tasks) {
      text += (text.empty() ? "" : ", ") + task.label + " " +
              std::string(domain::kTaskStateNames.Name(task.state)) + " " + task.id.ToString();
    }
    return text + "; " + std::string(domain::kJobStateNames.Name(job.state));
  }

  testing::TemporaryDirectory folder_;
  std::unique_ptr<Queue> queue_;
};

inline std::string QueueName(const ::testing::TestParamInfo<const char*>& parameter) {
  return parameter.param;
}

}  // namespace tyllm::server::store
