// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/co_spawn.hpp>

#include "server/core/list_jobs.h"
#include "server/core/list_workers.h"
#include "server/core/read_log.h"
#include "server/core/server_info.h"
#include "server/core/sync_worker.h"
#include "server/core/watch_job.h"
#include "server/store/schema.h"
#include "tests/server/core/await.h"

namespace tyllm::server::core {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class JobUseCases : public FarmFixture {
 protected:
  void Finish(const std::string& worker, const std::string& output) {
    const auto started = Ask(worker);
    ASSERT_EQ(started.size(), 1U);
    Report(worker, started[0].id, domain::Succeeded{Upload(output)});
  }
};

TEST_F(JobUseCases, TheSameRequestIdGivesTheSameJob) {
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  const auto first = Submit("r", spec);
  EXPECT_EQ(Submit("r", spec)->id, first->id);
  EXPECT_EQ(Submit("r", Spec(JobKind::kQuantize)).status().code(), StatusCode::kAlreadyExists);
  Restart();
  EXPECT_EQ(Submit("r", spec)->id, first->id);
}

TEST_F(JobUseCases, WrongRequestsNameTheField) {
  domain::JobSpec spec = Spec(JobKind::kCompile);
  spec.compile.dies = 17;
  EXPECT_NE(Submit("r", spec).status().message().find("compile: dies is 17"), std::string::npos);
  EXPECT_EQ(Submit("", Spec(JobKind::kConvert)).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Submit(std::string(65, 'r'), Spec(JobKind::kConvert)).status().code(),
            StatusCode::kInvalidArgument);
  spec = Spec(JobKind::kQuantize);
  spec.calibration = *blobs_->WriteSmall("no tree");
  EXPECT_NE(Submit("r", spec).status().message().find("calibration"), std::string::npos);
  spec = Spec(JobKind::kQuantize);
  spec.quantize.keep_float.assign(100, std::string(1000, 'x'));
  EXPECT_NE(Submit("r", spec).status().message().find("bytes"), std::string::npos);
}

TEST_F(JobUseCases, MissingBlobsAreToldBeforeAnythingIsQueued) {
  domain::JobSpec spec = Spec(JobKind::kConvert);
  spec.model = {DigestOf(std::string_view("absent")), 20};
  EXPECT_EQ(Submit("r", spec).status().code(), StatusCode::kFailedPrecondition);
  const format::Tree tree{{{.path = "f", .blob = {DigestOf(std::string_view("absent")), 6}}}};
  spec.model = *blobs_->WriteSmall(format::ToText(tree));
  const auto refused = Submit("r", spec);
  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("model: the server does not have 1 blob"),
            std::string::npos);
  EXPECT_TRUE(Await(ListJobs(*farm_, {}))->jobs.empty());
  ASSERT_TRUE(blobs_->WriteSmall("absent").ok());
  EXPECT_TRUE(Submit("r", spec).ok());
}

TEST_F(JobUseCases, TheSameJobTwiceCostsNothing) {
  const domain::JobSpec spec = Spec(JobKind::kCompile, 2);
  ASSERT_TRUE(Submit("a", spec).ok());
  for (const char* output : {"die0", "die1", "all"}) {
    Finish("gpu1", output);
  }
  const auto again = Submit("b", spec);
  EXPECT_EQ(again->state, JobState::kSucceeded);
  EXPECT_TRUE(again->tasks[2].cached);
  EXPECT_EQ(again->outputs.at("artifact"), Upload("all"));
  EXPECT_EQ(Counted("tyllm_cache_hits_total{kind=\"compile_die\"}"), "2");
  EXPECT_EQ(Counted("tyllm_cache_hits_total{kind=\"assemble\"}"), "1");
  EXPECT_EQ(Counted("tyllm_cache_misses_total{kind=\"compile_die\"}"), "2");
  EXPECT_EQ(Counted("tyllm_cache_misses_total{kind=\"assemble\"}"), "1");
  EXPECT_EQ(Counted("tyllm_cache_merged_total{kind=\"assemble\"}"), "0");
  domain::JobSpec fresh = spec;
  fresh.no_cache = true;
  EXPECT_EQ(Submit("c", fresh)->state, JobState::kQueued);
  EXPECT_EQ(Ask("gpu1").size(), 1U);
  EXPECT_EQ(Counted("tyllm_cache_misses_total{kind=\"compile_die\"}"), "2") << "it did not look";
}

TEST_F(JobUseCases, AJobThatRunsAlreadyIsJoined) {
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  ASSERT_TRUE(Submit("a", spec).ok());
  const AttemptId id = Ask("gpu1").at(0).id;
  const JobId joined = Submit("b", spec)->id;
  EXPECT_TRUE(Ask("gpu2").empty());
  Advance(std::chrono::seconds(1));
  Report("gpu1", id, domain::Succeeded{Upload("out")});
  EXPECT_EQ(Get(joined).state, JobState::kSucceeded);
  EXPECT_TRUE(Get(joined).tasks[0].cached);
  EXPECT_EQ(Counted("tyllm_cache_merged_total{kind=\"convert\"}"), "1");
  EXPECT_EQ(Counted("tyllm_cache_hits_total{kind=\"convert\"}"), "0");
  EXPECT_EQ(Counted("tyllm_cache_misses_total{kind=\"convert\"}"), "1");
}

TEST_F(JobUseCases, AResultWhoseBlobsAreGoneIsMadeAgain) {
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  ASSERT_TRUE(Submit("a", spec).ok());
  Finish("gpu1", "out");
  const std::string digest = DigestOf(std::string_view("out")).Hex();
  ASSERT_TRUE(std::filesystem::remove(folder_ / "blobs/complete" / digest.substr(0, 2) / digest));
  EXPECT_EQ(Submit("b", spec)->state, JobState::kQueued);
  EXPECT_EQ(Ask("gpu1").size(), 1U);
}

TEST_F(JobUseCases, AResultOfAnotherToolchainIsNotTaken) {
  const domain::JobSpec spec = Spec(JobKind::kConvert);
  ASSERT_TRUE(Submit("a", spec).ok());
  const AttemptId id = Ask("gpu1").at(0).id;
  SyncRequest request =
      From("gpu1", {{.id = id, .progress = {}, .outcome = domain::Succeeded{Upload("out")}}});
  request.capabilities.toolchain_version = "0.9";
  ASSERT_TRUE(Sync(request).ok());
  EXPECT_EQ(Submit("b", spec)->state, JobState::kQueued);
}

TEST_F(JobUseCases, PagesGoFromNewToOld) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Submit(std::to_string(i), Spec(JobKind::kConvert)).ok());
  }
  std::string ids;
  domain::JobQuery query{.page_size = 2, .page_token = {}, .states = {}};
  do {
    const auto page = Await(ListJobs(*farm_, query));
    ASSERT_TRUE(page.ok());
    for (const JobView& job : page->jobs) {
      ids += job.id.ToString();
    }
    ids += "|";
    query.page_token = page->next_page_token;
  } while (!query.page_token.empty());
  EXPECT_EQ(ids, "j5j4|j3j2|j1|");
  EXPECT_EQ(Await(ListJobs(*farm_, {.page_size = 2, .page_token = "nonsense", .states = {}}))
                .status()
                .code(),
            StatusCode::kInvalidArgument);
}

TEST_F(JobUseCases, AWatchSeesEveryChangeOnceProgressAndTheEnd) {
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  JobWatch watch(*farm_, job, 0);
  EXPECT_EQ(Await(watch.Next({}))->events.size(), 2U);
  EXPECT_TRUE(Await(watch.Next({}))->events.empty());
  const AttemptId id = Ask("gpu1").at(0).id;
  EXPECT_EQ(Await(watch.Next({}))->events.front().number, 3);
  const domain::Progress progress{.stage = "pack", .done = 1, .total = 2, .unit = "layers"};
  ASSERT_TRUE(Sync(From("gpu1", {{.id = id, .progress = progress, .outcome = {}}})).ok());
  const auto shown = Await(watch.Next({}));
  ASSERT_EQ(shown->events.size(), 1U);
  EXPECT_EQ(shown->events[0].number, 0);
  EXPECT_EQ(shown->events[0].text, "convert: pack 1/2 layers");
  EXPECT_EQ(shown->events[0].task->progress, progress);
  EXPECT_TRUE(Await(watch.Next({}))->events.empty());
  Report("gpu1", id, domain::Succeeded{Upload("out")});
  const auto last = Await(watch.Next({}));
  EXPECT_TRUE(last->final);
  EXPECT_EQ(last->events.back().job_state, JobState::kSucceeded);
  EXPECT_EQ(last->events.front().task->output, Upload("out"));
  JobWatch late(*farm_, job, 3);
  EXPECT_EQ(Await(late.Next({}))->events.front().number, 4);
  EXPECT_EQ(Await(JobWatch(*farm_, JobId{99}, 0).Next({})).status().code(), StatusCode::kNotFound);
}

TEST_F(JobUseCases, AnIdleWorkerThatWaitsIsWokenByASubmission) {
  SyncRequest idle = From("gpu1");
  idle.wait_ms = 10'000;
  std::optional<Result<SyncReply>> reply;
  boost::asio::co_spawn(*control_, Keep(SyncWorker(*farm_, idle), reply), boost::asio::detached);
  ASSERT_TRUE(Submit("r", Spec(JobKind::kConvert)).ok());
  control_->restart();
  while (!reply && control_->run_one_for(seconds(5)) > 0) {
  }
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ((*reply)->start.size(), 1U);
}

TEST_F(JobUseCases, ANewLeaseCountsFromWhenItWasGivenHoweverLongTheCallWasHeld) {
  SyncRequest idle = From("gpu1");
  idle.wait_ms = 60'000;
  std::optional<Result<SyncReply>> reply;
  boost::asio::co_spawn(*control_, Keep(SyncWorker(*farm_, idle), reply), boost::asio::detached);
  control_->restart();
  control_->poll();  // the call has come
  Advance(seconds(33));
  ASSERT_TRUE(Submit("r", Spec(JobKind::kConvert)).ok());
  control_->restart();
  while (!reply && control_->run_one_for(seconds(5)) > 0) {
  }
  ASSERT_TRUE(reply.has_value());
  ASSERT_EQ((*reply)->start.size(), 1U);
  EXPECT_EQ((*reply)->held_ms, 33'000);
  const auto renewed = Sync(From("gpu1", {{.id = (*reply)->start[0].id, .progress = {}}}));
  EXPECT_EQ(renewed->held_ms, 0) << "renewed by the call";
}

TEST_F(JobUseCases, AWatchThatWaitsIsWokenByAChange) {
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  JobWatch watch(*farm_, job, Get(job).last_event);
  std::optional<Result<JobEvents>> events;
  boost::asio::co_spawn(*control_, Keep(watch.Next(seconds(10)), events), boost::asio::detached);
  ASSERT_EQ(Ask("gpu1").size(), 1U);
  control_->restart();
  while (!events && control_->run_one_for(seconds(5)) > 0) {
  }
  ASSERT_TRUE(events.has_value());
  EXPECT_EQ((*events)->events.size(), 1U);
}

TEST_F(JobUseCases, AWaitingWorkerGivesWayToItsNextCall) {
  SyncRequest idle = From("gpu1");
  idle.wait_ms = 10'000;
  std::optional<Result<SyncReply>> first;
  boost::asio::co_spawn(*control_, Keep(SyncWorker(*farm_, idle), first), boost::asio::detached);
  control_->restart();
  control_->poll();
  Ask("gpu1");
  ASSERT_TRUE(Submit("r", Spec(JobKind::kConvert)).ok());
  control_->restart();
  while (!first && control_->run_one_for(seconds(5)) > 0) {
  }
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE((*first)->start.empty());
  EXPECT_EQ(Ask("gpu1").size(), 1U);
}

TEST_F(JobUseCases, LogsAreReadFromAnyOffsetUntilTheAttemptHasEnded) {
  const JobId job = Submit("r", Spec(JobKind::kConvert))->id;
  const TaskId task = Get(job).tasks[0].id;
  const auto read = [&](std::int64_t offset) {
    return *Await(ReadLog(*farm_, {.task = task, .attempt = 0, .offset = offset}, {}));
  };
  EXPECT_EQ(read(0).attempt, 0);
  const AttemptId id = Ask("gpu1").at(0).id;
  const WorkerSession from{"gpu1", "s1"};
  EXPECT_EQ(*Append({.id = id, .from = from, .offset = 0, .data = "hello "}), 6);
  EXPECT_EQ(*Append({.id = id, .from = from, .offset = 3, .data = "lo world"}), 11);
  EXPECT_EQ(Append({.id = id, .from = from, .offset = 12, .data = "!"}).status().code(),
            StatusCode::kOutOfRange);
  EXPECT_EQ(read(6).data, "world");
  EXPECT_FALSE(read(6).ended);
  EXPECT_EQ(read(11).data, "");
  Report("gpu1", id, domain::Succeeded{Upload("out")});
  EXPECT_TRUE(read(6).ended);
  EXPECT_EQ(read(6).attempt, 1);
  EXPECT_EQ(Await(ReadLog(*farm_, {.task = TaskId{99}}, {})).status().code(),
            StatusCode::kNotFound);
}

TEST_F(JobUseCases, WorkersAreListedWithWhatTheyHold) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kConvert)).ok());
  const AttemptId id = Ask("gpu1").at(0).id;
  Ask("idle");
  auto workers = Await(ListWorkers(*farm_));
  ASSERT_EQ(workers->size(), 2U);
  EXPECT_EQ((*workers)[0].tasks, std::vector<TaskId>{id.task});
  EXPECT_TRUE((*workers)[1].online);
  EXPECT_EQ((*workers)[1].capabilities.toolchain_version, "1.0");
  Advance(minutes(1) + seconds(1));
  workers = Await(ListWorkers(*farm_));
  EXPECT_FALSE((*workers)[1].online);
}

TEST_F(JobUseCases, TheServerSaysWhatItIs) {
  ASSERT_TRUE(Submit("r", Spec(JobKind::kConvert)).ok());
  const auto info = Await(GetServerInfo(*farm_));
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->version, "1.0");
  EXPECT_EQ(info->schema_version, store::SchemaVersion());
  EXPECT_EQ(info->jobs_by_state.at(JobState::kQueued), 1);
  EXPECT_GT(info->blob_bytes, 0U);
}

}  // namespace
}  // namespace tyllm::server::core
