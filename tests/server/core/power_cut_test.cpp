// SPDX-License-Identifier: Apache-2.0
// The power of a whole server's machine fails at every change of any of its files: database, blobs
// and logs. Whatever was answered before is true after.
#include <gtest/gtest.h>

#include "common/format/tree.h"
#include "server/core/append_log.h"
#include "server/core/cancel_job.h"
#include "server/core/get_job.h"
#include "server/core/read_log.h"
#include "server/core/submit_job.h"
#include "server/core/sync_worker.h"
#include "server/store/database.h"
#include "tests/server/store/fault_vfs.h"
#include "tests/support/bare_farm.h"
#include "tests/support/power_cut_file_system.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::core {
namespace {

using domain::AttemptId;
using domain::JobId;
using domain::JobState;
using domain::SyncReply;
using domain::SyncRequest;
using store::FaultVfs;
using testing::BareFarm;

/// What a farm has answered.
struct Promised {
  std::vector<BlobId> blobs;
  std::map<std::string, JobId> jobs;  ///< by request
  std::map<JobId, domain::JobView> shown;
  std::map<AttemptId, std::string> logs;
};

/// A day in the life of a farm: every step goes on from what is there, so that it can be begun
/// again after a crash.
class Day {
 public:
  Day(BareFarm& farm, Promised& promised) : farm_(farm), promised_(promised) {}

  Status Live() {
    TYLLM_ASSIGN(const BlobId model, PutTree("a model"));
    TYLLM_ASSIGN(const JobId first, Submit("first", domain::JobKind::kConvert, model));
    TYLLM_ASSIGN(const JobId second, Submit("second", domain::JobKind::kPipeline, model));
    TYLLM_TRY(Work("w1"));
    TYLLM_TRY(Cancel(second));
    TYLLM_TRY(Show(first));
    return Show(second);
  }

 private:
  Result<BlobId> Put(const std::string& content) {
    TYLLM_ASSIGN(const BlobId id, farm_.blobs().WriteSmall(content));
    promised_.blobs.push_back(id);
    return id;
  }

  Result<BlobId> PutTree(const std::string& content) {
    TYLLM_ASSIGN(const BlobId file, Put(content));
    return Put(format::ToText(format::Tree{{{.path = "file", .blob = file}}}));
  }

  Result<JobId> Submit(const std::string& request, domain::JobKind kind, const BlobId& model) {
    domain::JobSpec spec;
    spec.kind = kind;
    spec.name = "tiny";
    spec.model = model;
    spec.no_cache = true;
    TYLLM_ASSIGN(const domain::JobView job, farm_.Await(SubmitJob(farm_.farm(), {request, spec})));
    const auto [known, first] = promised_.jobs.try_emplace(request, job.id);
    EXPECT_EQ(known->second, job.id) << request << " made two jobs";
    return job.id;
  }

  // One task from its beginning to its end, with a log in three pieces.
  Status Work(const std::string& worker) {
    SyncRequest request{.from = {worker, "s"}, .capabilities = {.toolchain_version = "1.0"}};
    TYLLM_ASSIGN(const SyncReply given, farm_.Await(SyncWorker(farm_.farm(), request)));
    if (given.start.empty()) {
      return OkStatus();
    }
    const AttemptId id = given.start[0].id;
    std::string log;
    for (const std::string piece : {"begin\n", "middle\n", "end\n"}) {
      TYLLM_ASSIGN(
          const std::int64_t size,
          farm_.Await(AppendLog(farm_.farm(), {.id = id,
                                               .from = request.from,
                                               .offset = static_cast<std::int64_t>(log.size()),
                                               .data = piece})));
      log += piece;
      promised_.logs[id] = log.substr(0, static_cast<std::size_t>(size));
    }
    TYLLM_ASSIGN(const BlobId output, PutTree("output of " + id.ToString()));
    request.held = {{.id = id,
                     .progress = {},
                     .log_bytes = static_cast<std::int64_t>(log.size()),
                     .outcome = domain::Succeeded{output}}};
    request.draining = true;
    TYLLM_ASSIGN(const SyncReply done, farm_.Await(SyncWorker(farm_.farm(), request)));
    EXPECT_EQ(done.acknowledged, std::vector{id.task});
    return done.acknowledged.empty() ? OkStatus() : Show(given.start[0].id);
  }

  // What was acknowledged is over, and stays so.
  Status Show(const AttemptId& id) {
    for (const auto& [request, job] : promised_.jobs) {
      TYLLM_TRY(Show(job));
    }
    for (const auto& [job, view] : promised_.shown) {
      for (const domain::TaskView& task : view.tasks) {
        EXPECT_TRUE(task.id != id.task || task.state == domain::TaskState::kSucceeded);
      }
    }
    return OkStatus();
  }

  Status Show(JobId job) {
    TYLLM_ASSIGN(promised_.shown[job], farm_.Await(GetJob(farm_.farm(), job)));
    return OkStatus();
  }

  Status Cancel(JobId job) {
    domain::JobChange change;
    change.job = job;
    TYLLM_ASSIGN(promised_.shown[job], farm_.Await(CancelJob(farm_.farm(), change)));
    return OkStatus();
  }

  BareFarm& farm_;
  Promised& promised_;
};

void ExpectSound(const Path& file) {
  static constexpr store::Sql kCheck{"PRAGMA integrity_check"};
  auto database = store::Database::Open(file.string(), "");
  ASSERT_TRUE(database.ok()) << database.status().ToString();
  auto rows = (*database)->Query(kCheck);
  ASSERT_TRUE(rows.ok() && *rows->Next());
  EXPECT_EQ(rows->Text(0), "ok");
}

void ExpectKept(BareFarm& farm, const Promised& promised) {
  for (const BlobId& blob : promised.blobs) {
    const auto content = farm.blobs().ReadSmall(blob, 1 << 20);
    ASSERT_TRUE(content.ok()) << content.status().ToString();
    EXPECT_EQ(DigestOf(*content), blob.sha256);
  }
  for (const auto& [request, job] : promised.jobs) {
    EXPECT_TRUE(farm.Await(GetJob(farm.farm(), job)).ok()) << request << " is lost";
  }
  for (const auto& [id, view] : promised.shown) {
    const auto job = farm.Await(GetJob(farm.farm(), id));
    ASSERT_TRUE(job.ok()) << job.status().ToString();
    EXPECT_GE(job->last_event, view.last_event) << id.ToString();
    if (IsFinal(view.state)) {
      EXPECT_EQ(job->state, view.state) << id.ToString();
      EXPECT_EQ(job->outputs, view.outputs) << id.ToString();
    }
  }
  for (const auto& [id, log] : promised.logs) {
    const auto read = farm.Await(ReadLog(farm.farm(), {id.task, id.attempt, 0}, Milliseconds(0)));
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(read->data.substr(0, log.size()), log) << id.ToString();
  }
}

class PowerCut : public ::testing::TestWithParam<FaultVfs::Leaves> {
 protected:
  /// Lives a day until the power fails at change `k`, and the rest of it after; whether it failed.
  bool LiveWithCutAt(int k) {
    const testing::TemporaryDirectory folder;
    const ManualClock clock;
    Promised promised;
    testing::Power power(k);
    testing::PowerCutFileSystem disk(power);
    FaultVfs vfs;
    vfs.ConnectTo(power);
    const BareFarm::Place before{
        .files = disk, .folder = folder.path(), .vfs = vfs.name(), .clock = clock};
    if (const auto farm = BareFarm::Open(before); farm.ok()) {
      static_cast<void>(Day(**farm, promised).Live());
    }
    const bool cut = power.gone();
    disk.LosePower();
    vfs.LoseUnsynced(GetParam(), static_cast<std::uint64_t>(k));
    ExpectSound(folder / "queue.db");
    const BareFarm::Place after{
        .files = LocalFileSystem(), .folder = folder.path(), .vfs = "", .clock = clock};
    const auto farm = BareFarm::Open(after);
    EXPECT_TRUE(farm.ok()) << farm.status().ToString();
    if (farm.ok()) {
      ExpectKept(**farm, promised);
      const Status rest = Day(**farm, promised).Live();
      EXPECT_TRUE(rest.ok()) << rest.ToString();
      ExpectKept(**farm, promised);
    }
    return cut;
  }
};

// Every second change with each way of leaving unsynced sectors: opening a farm takes a while.
TEST_P(PowerCut, AtAnyChangeOfAnyFileEveryAnswerStaysTrue) {
  constexpr int kMost = 2000;
  int at = GetParam() == FaultVfs::Leaves::kNothing ? 0 : 1;
  for (; at < kMost && !HasFailure(); at += 2) {
    SCOPED_TRACE("power cut at change " + std::to_string(at));
    if (!LiveWithCutAt(at)) {
      break;
    }
  }
  EXPECT_GT(at, 60);
  EXPECT_LT(at, kMost);
}

INSTANTIATE_TEST_SUITE_P(Leaving, PowerCut,
                         ::testing::Values(FaultVfs::Leaves::kNothing, FaultVfs::Leaves::kSome),
                         [](const auto& leaves) {
                           return leaves.param == FaultVfs::Leaves::kNothing
                                      ? std::string("nothing")
                                      : std::string("some");
                         });

}  // namespace
}  // namespace tyllm::server::core
