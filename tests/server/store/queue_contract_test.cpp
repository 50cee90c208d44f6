// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "server/store/sqlite_queue.h"
#include "tests/server/store/memory_queue.h"
#include "tests/server/store/samples.h"
#include "tests/support/temporary_directory.h"

// What every queue promises.
namespace tyllm::server::store {
namespace {

using domain::JobKind;
using domain::JobState;
using domain::TaskState;

const WorkerSession kWorker{"gpu1", "s1"};

class QueueContract : public ::testing::TestWithParam<const char*> {
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

  JobId Enqueue(const NewJob& job) {
    const auto id = queue_->Enqueue(job, 1000);
    EXPECT_TRUE(id.ok()) << id.status().ToString();
    return *id;
  }

  domain::JobView Job(JobId id) { return *queue_->GetJob(id); }

  /// "quantize running 1, convert waiting 0; job running".
  std::string Show(JobId id) {
    std::string text;
    const domain::JobView job = Job(id);
    for (const domain::TaskView& task : job.tasks) {
      text += (text.empty() ? "" : ", ") + task.label + " " +
              std::string(domain::kTaskStateNames.Name(task.state));
    }
    return text + "; " + std::string(domain::kJobStateNames.Name(job.state));
  }

  AttemptId Start(TaskId task, const WorkerSession& worker = kWorker) {
    const auto lease = queue_->StartAttempt(task, worker, 2000);
    EXPECT_TRUE(lease.ok()) << lease.status().ToString();
    return lease->id;
  }

  std::vector<TaskId> Due(std::int64_t now = 1'000'000) {
    std::vector<TaskId> ids;
    for (const sched::Candidate& candidate : AllCandidates(*queue_, now)) {
      ids.push_back(candidate.id);
    }
    return ids;
  }

  void Succeed(const AttemptId& id) {
    EXPECT_TRUE(queue_->Succeed(id, SampleTree("out" + id.ToString()), {}, 3000).ok());
  }

  testing::TemporaryDirectory folder_;
  std::unique_ptr<Queue> queue_;
};

TEST_P(QueueContract, AJobRunsThroughItsGraphAndShowsItsOutputs) {
  const JobId job = Enqueue(SampleJob("r", JobKind::kPipeline, 1));
  EXPECT_EQ(Show(job),
            "quantize queued, convert waiting, evaluate waiting, compile.die0 waiting, "
            "assemble waiting; queued");
  const AttemptId quantize = Start({1});
  EXPECT_EQ(Show(job),
            "quantize running, convert waiting, evaluate waiting, compile.die0 waiting, "
            "assemble waiting; running");
  Succeed(quantize);
  const auto convert = queue_->StartAttempt({2}, kWorker, 2000);
  ASSERT_TRUE(convert.ok());
  EXPECT_EQ(convert->inputs.at("model"), SampleTree("out" + quantize.ToString()));
  EXPECT_EQ(convert->spec.kind, domain::TaskKind::kConvert);
  Succeed(convert->id);
  EXPECT_EQ(Due(), (std::vector<TaskId>{{3}, {4}}));
  Succeed(Start({3}));
  Succeed(Start({4}));
  const auto assemble = queue_->StartAttempt({5}, kWorker, 2000);
  ASSERT_TRUE(assemble.ok());
  EXPECT_EQ(assemble->inputs.size(), 2U);
  Succeed(assemble->id);
  EXPECT_EQ(Show(job),
            "quantize succeeded, convert succeeded, evaluate succeeded, compile.die0 succeeded, "
            "assemble succeeded; succeeded");
  EXPECT_EQ(Job(job).outputs.size(), 3U);
  EXPECT_EQ(Job(job).outputs.at("artifact"), SampleTree("out" + assemble->id.ToString()));
  EXPECT_EQ(Job(job).ended_unix_ms, 3000);
}

TEST_P(QueueContract, QueuedTasksComeFirstInFirstOutAndInPlanOrder) {
  Enqueue(SampleJob("a", JobKind::kCompile, 2));
  Enqueue(SampleJob("b", JobKind::kQuantize));
  EXPECT_EQ(Due(), (std::vector<TaskId>{{1}, {2}, {4}}));
  EXPECT_EQ(queue_->Candidates(1, 1000, 1)->size(), 1U);
}

TEST_P(QueueContract, ARequestIdIsFoundAgain) {
  EXPECT_FALSE((*queue_->FindRequest("r")).has_value());
  const JobId job = Enqueue(SampleJob("r", JobKind::kConvert));
  EXPECT_EQ((*queue_->FindRequest("r"))->job, job);
  EXPECT_FALSE(queue_->Enqueue(SampleJob("r", JobKind::kConvert), 1).ok());
}

TEST_P(QueueContract, OnlyTheCurrentAttemptMayEndATask) {
  const JobId job = Enqueue(SampleJob("r", JobKind::kConvert));
  const AttemptId first = Start({1});
  ASSERT_TRUE(queue_->EndAttempt(first, sched::Ending::kLeaseLost, Again(), 2500).ok());
  const AttemptId second = Start({1}, {"gpu2", "s2"});
  EXPECT_EQ(second.attempt, 2);
  EXPECT_EQ(queue_->Succeed(first, SampleTree("stale"), {}, 3000).code(), StatusCode::kAborted);
  EXPECT_EQ(queue_->EndAttempt(first, sched::Ending::kFailed, GivenUp(), 3000).code(),
            StatusCode::kAborted);
  EXPECT_EQ(*queue_->FindHeld(first), std::nullopt);
  EXPECT_EQ((*queue_->FindHeld(second))->holder.worker, "gpu2");
  EXPECT_EQ((*queue_->FindHeld(second))->spent, (sched::Spent{1, 2})) << "as the verdict says";
  Succeed(second);
  EXPECT_EQ(queue_->Succeed(second, SampleTree("twice"), {}, 3000).code(), StatusCode::kAborted);
  EXPECT_EQ(Job(job).tasks[0].output, SampleTree("out" + second.ToString()));
  EXPECT_EQ(*queue_->FindHeld({TaskId{99}, 1}), std::nullopt);
}

TEST_P(QueueContract, ALeasedTaskIsNotLeasedAgain) {
  Enqueue(SampleJob("r", JobKind::kConvert));
  Start({1});
  EXPECT_TRUE(Due().empty());
  EXPECT_EQ(queue_->StartAttempt({1}, kWorker, 1).status().code(), StatusCode::kAborted);
}

TEST_P(QueueContract, ARetryIsNotDueBeforeItsTime) {
  Enqueue(SampleJob("r", JobKind::kConvert));
  ASSERT_TRUE(queue_->EndAttempt(Start({1}), sched::Ending::kFailed, Again(500), 3000).ok());
  EXPECT_TRUE(Due(3499).empty());
  EXPECT_EQ(Due(3500).size(), 1U);
  EXPECT_EQ(Job({1}).tasks[0].failure, SampleFailure("CRASHED"));
}

TEST_P(QueueContract, TasksOfLiveJobsAreCountedAndTheOldestDueOneIsKnown) {
  EXPECT_TRUE(queue_->CountTasks(9999)->oldest_due_ms.empty());
  Enqueue(SampleJob("a", JobKind::kConvert));  // at 1000
  Enqueue(SampleJob("b", JobKind::kConvert));
  EXPECT_EQ(queue_->CountTasks(9999)->by_state.at(domain::TaskState::kQueued), 2);
  using Oldest = std::map<domain::JobClass, std::int64_t>;
  EXPECT_EQ(queue_->CountTasks(9999)->oldest_due_ms, (Oldest{{domain::JobClass::kBatch, 1000}}));
  ASSERT_TRUE(queue_->EndAttempt(Start({1}), sched::Ending::kFailed, Again(500), 3000).ok());
  const AttemptId second = Start({2});
  EXPECT_EQ(queue_->CountTasks(3499)->by_state.at(domain::TaskState::kLeased), 1);
  EXPECT_TRUE(queue_->CountTasks(3499)->oldest_due_ms.empty()) << "not due before its retry";
  EXPECT_EQ(queue_->CountTasks(3500)->oldest_due_ms, (Oldest{{domain::JobClass::kBatch, 3500}}));
  Succeed(second);
  EXPECT_FALSE(queue_->CountTasks(9999)->by_state.contains(domain::TaskState::kSucceeded));
}

TEST_P(QueueContract, CandidatesKnowWhoLostThem) {
  Enqueue(SampleJob("r", JobKind::kConvert));
  const auto lose = [&](const WorkerSession& worker) {
    ASSERT_TRUE(
        queue_->EndAttempt(Start({1}, worker), sched::Ending::kLeaseLost, Again(), 3000).ok());
  };
  lose({"b", "1"});
  lose({"a", "1"});
  lose({"b", "2"});
  ASSERT_TRUE(queue_->EndAttempt(Start({1}, {"c", "1"}), sched::Ending::kFailed, Again(), 1).ok());
  EXPECT_EQ(AllCandidates(*queue_, 9999).front().lost_by, (std::vector<std::string>{"a", "b"}));
}

TEST_P(QueueContract, AFailureCancelsWhatNeedsItAndLetsTheRestFinish) {
  const JobId job = Enqueue(SampleJob("r", JobKind::kCompile, 2));
  const AttemptId die1 = Start({2});
  ASSERT_TRUE(queue_->EndAttempt(Start({1}), sched::Ending::kFailed, GivenUp(), 3000).ok());
  EXPECT_EQ(Show(job), "compile.die0 failed, compile.die1 running, assemble cancelled; running");
  EXPECT_EQ(Job(job).failure, SampleFailure("CRASHED"));
  Succeed(die1);
  EXPECT_EQ(Show(job), "compile.die0 failed, compile.die1 succeeded, assemble cancelled; failed");
}

TEST_P(QueueContract, CancellingStopsWhatRunsAndCancelsTheRest) {
  const JobId job = Enqueue(SampleJob("r", JobKind::kCompile, 2));
  const AttemptId die0 = Start({1});
  ASSERT_TRUE(queue_->CancelJob(job, 2500).ok());
  ASSERT_TRUE(queue_->CancelJob(job, 2600).ok());
  EXPECT_EQ(Show(job),
            "compile.die0 cancelling, compile.die1 cancelled, assemble cancelled; cancelling");
  EXPECT_EQ((*queue_->FindHeld(die0))->state, TaskState::kCancelling);
  ASSERT_TRUE(queue_->EndCancelled(die0, 3000).ok());
  EXPECT_EQ(Show(job),
            "compile.die0 cancelled, compile.die1 cancelled, assemble cancelled; cancelled");
  EXPECT_TRUE(queue_->CancelJob(job, 4000).ok());
  EXPECT_EQ(Job(job).ended_unix_ms, 3000);
}

TEST_P(QueueContract, AResultThatComesWhileCancellingIsTooLate) {
  const JobId job = Enqueue(SampleJob("r", JobKind::kConvert));
  const AttemptId attempt = Start({1});
  ASSERT_TRUE(queue_->CancelJob(job, 2500).ok());
  EXPECT_TRUE(queue_->Succeed(attempt, SampleTree("late"), DigestOf("k"), 3000).ok());
  EXPECT_EQ(Show(job), "convert cancelled; cancelled");
  EXPECT_EQ(Job(job).tasks[0].output, std::nullopt);
}

TEST_P(QueueContract, OnlyACancelledAttemptEndsCancelled) {
  Enqueue(SampleJob("r", JobKind::kConvert));
  EXPECT_EQ(queue_->EndCancelled(Start({1}), 1).code(), StatusCode::kAborted);
}

TEST_P(QueueContract, EventsRiseByOneAndOnlyTheLastOfAChangeShowsTheNewState) {
  const JobId job = Enqueue(SampleJob("r", JobKind::kConvert));
  Succeed(Start({1}));
  const auto events = queue_->EventsAfter(job, 0, 100);
  ASSERT_TRUE(events.ok());
  std::string text;
  for (std::size_t i = 0; i < events->size(); ++i) {
    const domain::JobEvent& event = (*events)[i];
    EXPECT_EQ(event.number, static_cast<std::int64_t>(i) + 1);
    text += std::string(domain::kJobStateNames.Name(event.job_state)) + ":" +
            (event.task ? std::string(domain::kTaskStateNames.Name(event.task->state)) : "-") + " ";
  }
  EXPECT_EQ(text, "queued:- queued:queued running:running running:succeeded succeeded:- ");
  EXPECT_EQ(Job(job).last_event, 5);
  EXPECT_EQ(queue_->EventsAfter(job, 3, 1)->front().number, 4);
  EXPECT_TRUE(queue_->EventsAfter(job, 5, 100)->empty());
  EXPECT_EQ(queue_->EventsAfter({99}, 0, 1).status().code(), StatusCode::kNotFound);
}

TEST_P(QueueContract, AnActionWithAResultIsNotRunButSucceedsFromTheCache) {
  NewJob first = SampleJob("a", JobKind::kConvert);
  first.spec.no_cache = false;
  NewJob second = first;
  second.request_id = "b";
  Enqueue(first);
  const JobId again = Enqueue(second);
  EXPECT_EQ(AllCandidates(*queue_, 9999).size(), 1U) << "one of them is enough";
  const AttemptId attempt = Start({1});
  EXPECT_TRUE(Due().empty()) << "the same action runs: wait for it";
  const auto lease = queue_->GetLease(attempt);
  const Sha256 key = domain::ActionKey(lease->spec, lease->inputs, "1.0");
  ASSERT_TRUE(queue_->Succeed(attempt, SampleTree("out"), key, 3000).ok());
  EXPECT_TRUE(Due().empty());
  const auto hits = queue_->CacheHits({.limit = 10});
  ASSERT_EQ(hits->size(), 1U);
  EXPECT_EQ(hits->front(),
            (CacheHit{{2}, again, key, SampleTree("out"), domain::TaskKind::kConvert, true}));
  ASSERT_TRUE(queue_->SucceedFromCache(hits->front(), 4000).ok());
  EXPECT_TRUE(Job(again).tasks[0].cached);
  EXPECT_EQ(Job(again).tasks[0].attempt, 0);
  EXPECT_EQ(Job(again).state, JobState::kSucceeded);
  EXPECT_EQ(queue_->SucceedFromCache(hits->front(), 4000).code(), StatusCode::kAborted);
}

TEST_P(QueueContract, AForgottenActionRunsAgainAndNoCacheAlwaysRuns) {
  NewJob cached = SampleJob("a", JobKind::kConvert);
  cached.spec.no_cache = false;
  Enqueue(cached);
  const AttemptId attempt = Start({1});
  const auto lease = queue_->GetLease(attempt);
  const Sha256 key = domain::ActionKey(lease->spec, lease->inputs, "1.0");
  ASSERT_TRUE(queue_->Succeed(attempt, SampleTree("out"), key, 3000).ok());
  cached.request_id = "b";
  Enqueue(cached);
  Enqueue(SampleJob("c", JobKind::kConvert));
  EXPECT_EQ(Due(), (std::vector<TaskId>{{3}}));
  ASSERT_TRUE(queue_->ForgetAction(key).ok());
  EXPECT_EQ(Due(), (std::vector<TaskId>{{2}, {3}}));
}

TEST_P(QueueContract, HeldTasksAreFoundByWorkerAndCanChangeSession) {
  Enqueue(SampleJob("r", JobKind::kCompile, 3));
  Start({1});
  const AttemptId adopted = Start({2}, {"gpu2", "old"});
  EXPECT_EQ(queue_->AllHeld()->size(), 2U);
  ASSERT_EQ(queue_->HeldBy("gpu2")->size(), 1U);
  ASSERT_TRUE(queue_->Adopt(adopted, "new").ok());
  EXPECT_EQ(queue_->HeldBy("gpu2")->front().holder, (WorkerSession{"gpu2", "new"}));
  Succeed(adopted);
  EXPECT_TRUE(queue_->HeldBy("gpu2")->empty());
  EXPECT_EQ(queue_->Adopt(adopted, "newer").code(), StatusCode::kAborted);
}

TEST_P(QueueContract, LogsBelongToAttempts) {
  const JobId job = Enqueue(SampleJob("r", JobKind::kConvert));
  EXPECT_EQ(queue_->FindLog({1}, 0)->attempt, 0);
  EXPECT_FALSE(queue_->FindLog({1}, 0)->ended);
  const AttemptId first = Start({1});
  ASSERT_TRUE(queue_->EndAttempt(first, sched::Ending::kFailed, Again(), 3000).ok());
  Start({1});
  EXPECT_EQ(queue_->FindLog({1}, 0)->attempt, 2);
  EXPECT_FALSE(queue_->FindLog({1}, 0)->ended);
  EXPECT_TRUE(queue_->FindLog({1}, 1)->ended);
  EXPECT_EQ(queue_->FindLog({1}, 1)->job, job);
  EXPECT_EQ(queue_->FindLog({1}, 3).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(queue_->FindLog({9}, 0).status().code(), StatusCode::kNotFound);
}

TEST_P(QueueContract, ListsAreNewestFirstByStateAndPage) {
  for (int i = 0; i < 5; ++i) {
    Enqueue(SampleJob(std::to_string(i), JobKind::kConvert));
  }
  Succeed(Start({2}));
  Start({4});
  const auto list = [&](const JobFilter& filter) {
    std::string ids;
    const auto jobs = queue_->ListJobs(filter);
    for (const domain::JobView& job : *jobs) {
      ids += job.id.ToString() + " ";
    }
    return ids;
  };
  EXPECT_EQ(list({}), "j5 j4 j3 j2 j1 ");
  EXPECT_EQ(list({.after = JobPosition{0, JobId{4}}, .states = {}, .limit = 2}), "j3 j2 ");
  EXPECT_EQ(list({.after = {}, .states = {JobState::kSucceeded, JobState::kRunning}}), "j4 j2 ");
  EXPECT_EQ(list({.after = {}, .states = {JobState::kFailed}}), "");
  const auto counts = queue_->CountJobs();
  EXPECT_EQ(counts->at(JobState::kQueued), 3);
  EXPECT_EQ(counts->at(JobState::kRunning), 1);
  EXPECT_EQ(counts->at(JobState::kFailed), 0);
}

TEST_P(QueueContract, ANewSessionReplacesTheOldOneForGood) {
  domain::Capabilities capabilities;
  capabilities.slots = 3;
  ASSERT_TRUE(queue_->StartSession({"gpu1", "old"}, capabilities, 1).ok());
  ASSERT_TRUE(queue_->StartSession({"gpu1", "old"}, capabilities, 2).ok());
  const domain::ModeOrder cordoned{domain::WorkerMode::kCordoned, "new disk"};
  ASSERT_TRUE(queue_->SetWorkerMode("gpu1", cordoned).ok());
  ASSERT_TRUE(queue_->StartSession({"gpu1", "new"}, capabilities, 3).ok());
  EXPECT_EQ(queue_->StartSession({"gpu1", "old"}, capabilities, 4).code(), StatusCode::kAborted);
  ASSERT_TRUE(queue_->StartSession({"gpu0", "old"}, capabilities, 5).ok());
  EXPECT_EQ(*queue_->ListWorkers(),
            (std::vector<WorkerRecord>{{"gpu0", "old", capabilities, {}, 5},
                                       {"gpu1", "new", capabilities, cordoned, 3}}));
  EXPECT_EQ(queue_->SetWorkerMode("gpu9", cordoned).code(), StatusCode::kNotFound);
}

TEST_P(QueueContract, OrdersToEndAreForTheProcessThatIsThere) {
  using domain::WorkerMode;
  const auto mode = [&] { return queue_->ListWorkers()->front().order.mode; };
  ASSERT_TRUE(queue_->StartSession({"gpu1", "a"}, {}, 1).ok());
  ASSERT_TRUE(queue_->SetWorkerMode("gpu1", {WorkerMode::kKilled, "stuck"}).ok());
  ASSERT_TRUE(queue_->StartSession({"gpu1", "a"}, {}, 2).ok());
  EXPECT_EQ(mode(), WorkerMode::kKilled);
  ASSERT_TRUE(queue_->StartSession({"gpu1", "b"}, {}, 3).ok());
  EXPECT_EQ(mode(), WorkerMode::kCordoned);
  ASSERT_TRUE(queue_->SetWorkerMode("gpu1", {}).ok());
  EXPECT_EQ(mode(), WorkerMode::kActive);
}

TEST_P(QueueContract, AMarkUndoesOneOperationAndNotTheOthers) {
  Enqueue(SampleJob("a", JobKind::kConvert));
  ASSERT_TRUE(queue_->SetMark().ok());
  Enqueue(SampleJob("b", JobKind::kConvert));
  ASSERT_TRUE(queue_->RevertToMark().ok());
  ASSERT_TRUE(queue_->SetMark().ok());
  const JobId c = Enqueue(SampleJob("c", JobKind::kConvert));
  ASSERT_TRUE(queue_->KeepMark().ok());
  ASSERT_TRUE(queue_->Commit().ok());
  ASSERT_TRUE(queue_->Begin().ok());
  EXPECT_TRUE((*queue_->FindRequest("a")).has_value());
  EXPECT_FALSE((*queue_->FindRequest("b")).has_value());
  EXPECT_EQ((*queue_->FindRequest("c"))->job, c);
  Enqueue(SampleJob("d", JobKind::kConvert));
  queue_->Rollback();
  ASSERT_TRUE(queue_->Begin().ok());
  EXPECT_FALSE((*queue_->FindRequest("d")).has_value());
}

TEST_P(QueueContract, UnknownThingsAreNotFound) {
  EXPECT_EQ(queue_->GetJob({7}).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(queue_->CancelJob({7}, 1).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(queue_->StartAttempt({7}, kWorker, 1).status().code(), StatusCode::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(Queues, QueueContract, ::testing::Values("memory", "sqlite"),
                         [](const auto& parameter) { return std::string(parameter.param); });

}  // namespace
}  // namespace tyllm::server::store
