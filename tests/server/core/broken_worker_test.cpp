// SPDX-License-Identifier: Apache-2.0
#include "server/core/explain_job.h"
#include "server/core/list_workers.h"
#include "tests/server/core/gpu_farm.h"

// A worker whose machine fails what it gets takes no job down with it.
namespace tyllm::server::core {
namespace {

using domain::PendingReason;
using std::chrono::minutes;
using std::chrono::seconds;

class BrokenWorker : public GpuFarm {
 protected:
  static domain::Failure Unfit() {
    return {.blame = domain::Blame::kWorker,
            .reason = "WORKER_UNFIT",
            .message = "no compiler here",
            .exit_code = 17,
            .retryable = true};
  }

  JobId SubmitOne(int number) {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.model = Upload("model " + std::to_string(number));
    return Submit("r" + std::to_string(number), spec)->id;
  }

  /// The worker takes one task and fails it; whether it got one.
  bool FailOne(const std::string& worker) {
    const auto started = Started(From(worker));
    if (started.empty()) {
      return false;
    }
    End(From(worker), started[0].id, Unfit());
    return true;
  }

  std::optional<domain::Bench> BenchOf(const std::string& worker) {
    const auto workers = Await(ListWorkers(*farm_));
    for (const domain::WorkerView& view : *workers) {
      if (view.name == worker) {
        return view.bench;
      }
    }
    return std::nullopt;
  }

  /// A call of a worker that runs something.
  std::vector<domain::Assignment> CallOf(const std::string& worker, const AttemptId& running) {
    return Started(From(
        worker, {{.id = running, .progress = {.stage = "pack", .done = ++step_}, .outcome = {}}}));
  }

  std::vector<std::string> Decisions(JobId job) {
    std::vector<std::string> texts;
    const auto explanation = Await(ExplainJob(*farm_, job));
    for (const domain::TaskExplanation& task : explanation->tasks) {
      for (const domain::Decision& decision : task.decisions) {
        texts.push_back(decision.text);
      }
    }
    return texts;
  }

  std::int64_t step_ = 0;
};

TEST_F(BrokenWorker, BesideABusyOneFailsNothingAndIsBenched) {
  SubmitOne(0);
  const AttemptId busy = Ask("good").at(0).id;
  std::vector<JobId> jobs;
  for (int i = 1; i <= 8; ++i) {
    jobs.push_back(SubmitOne(i));
  }
  int failed = 0;
  for (int i = 0; i < 120; ++i) {  // twenty minutes
    EXPECT_TRUE(CallOf("good", busy).empty());
    failed += FailOne("bad") ? 1 : 0;
    Advance(seconds(10));
    ASSERT_TRUE(Sweep().ok());
  }
  EXPECT_EQ(failed, 7) << "three, then one to try after 1, 2, 4 and 8 minutes";
  ASSERT_TRUE(BenchOf("bad").has_value());
  EXPECT_EQ(BenchOf("bad")->reason, "WORKER_UNFIT");
  EXPECT_EQ(BenchOf("good"), std::nullopt);
  const JobView first = Get(jobs[0]);
  ASSERT_TRUE(first.tasks[0].pending.has_value());
  EXPECT_EQ(first.tasks[0].pending->reason, PendingReason::kBusy);
  EXPECT_NE(first.tasks[0].pending->message.find("it is left to another"), std::string::npos)
      << first.tasks[0].pending->message;
  EXPECT_NE(first.tasks[0].pending->message.find("1 benched"), std::string::npos)
      << first.tasks[0].pending->message;
  Report("good", busy, domain::Succeeded{Upload("out")});
  for (int i = 0; i < 8; ++i) {
    const AttemptId id = Ask("good").at(0).id;
    Report("good", id, domain::Succeeded{Upload("out " + std::to_string(i))});
  }
  for (const JobId job : jobs) {
    EXPECT_EQ(Get(job).state, JobState::kSucceeded) << job.ToString();
    EXPECT_LE(Get(job).tasks[0].attempt, 2);
  }
}

TEST_F(BrokenWorker, ThatIsAloneTriesAgainAndGivesUpInTheEnd) {
  const JobId job = SubmitOne(1);
  int failed = 0;
  for (int i = 0; i < 600 && Get(job).state != JobState::kFailed; ++i) {
    failed += FailOne("only") ? 1 : 0;
    Advance(seconds(10));
    ASSERT_TRUE(Sweep().ok());
  }
  EXPECT_EQ(failed, 9);
  EXPECT_NE(
      Get(job).failure->message.find("9 attempts failed, 9 of them by the machine: worker only"),
      std::string::npos)
      << Get(job).failure->message;
  EXPECT_NE(Decisions(job)[3].find("2 failures (1 of 3 by different machines"), std::string::npos)
      << Decisions(job)[3];
}

TEST_F(BrokenWorker, ThreeOfThemFailATask) {
  const JobId job = SubmitOne(1);
  for (const char* worker : {"a", "b", "c"}) {
    EXPECT_TRUE(FailOne(worker)) << worker;
    Advance(minutes(1));
    ASSERT_TRUE(Sweep().ok());
  }
  EXPECT_EQ(Get(job).state, JobState::kFailed);
}

TEST_F(BrokenWorker, IsTriedWithOneTaskAndGoesOnWithTheFirstSuccess) {
  for (int i = 1; i <= 8; ++i) {
    SubmitOne(i);
  }
  SyncRequest four = From("w");
  four.capabilities.slots = 4;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(FailOne("w")) << i;
  }
  EXPECT_TRUE(Started(four).empty()) << "benched";
  Advance(seconds(61));
  const auto tried = Started(four);
  ASSERT_EQ(tried.size(), 1U);
  four.held = {{.id = tried[0].id, .progress = {.stage = "pack"}, .outcome = {}}};
  EXPECT_TRUE(Started(four).empty()) << "one at a time";
  four.held[0].outcome = domain::Succeeded{Upload("out")};
  EXPECT_EQ(Started(four).size(), 4U);
  EXPECT_EQ(BenchOf("w"), std::nullopt);
}

TEST_F(BrokenWorker, IsNoLongerBenchedWhenAPersonSaysSoOrItsProcessBeginsAnew) {
  for (int i = 1; i <= 8; ++i) {
    SubmitOne(i);
  }
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(FailOne("w")) << i;
  }
  EXPECT_FALSE(FailOne("w"));
  ASSERT_TRUE(Order("w", domain::WorkerMode::kActive).ok());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(FailOne("w")) << i;
  }
  EXPECT_FALSE(FailOne("w"));
  EXPECT_EQ(Started(From("w", {}, "s2")).size(), 1U);
}

/// A long quantization whose workers are lost one after the other.
class LostWorkers : public BrokenWorker {
 protected:
  /// A worker takes the task, keeps unfinished work of so many layers if any, and is lost.
  void Lose(const std::string& worker, std::int64_t layers) {
    const auto started = Started(From(worker));
    ASSERT_EQ(started.size(), 1U) << worker;
    HeldAttempt held{.id = started[0].id, .progress = {.stage = "quantize"}, .outcome = {}};
    if (layers > 0) {
      held.checkpoint = domain::Checkpoint{.tree = Upload(std::to_string(layers) + " layers"),
                                           .stage = "quantize",
                                           .done = layers,
                                           .total = 28};
    }
    ASSERT_TRUE(Sync(From(worker, {held})).ok());
    Advance(minutes(1));
    ASSERT_TRUE(Sweep().ok());
  }
};

TEST_F(LostWorkers, CountFromTheLastOneThatGotFurther) {
  const JobId job = Submit("r", Spec(JobKind::kQuantize))->id;
  Lose("a", 5);
  Lose("b", 9);
  Lose("c", 12);
  Lose("d", 20);
  EXPECT_EQ(Show(job), "quantize queued; queued");
  EXPECT_NE(Decisions(job).back().find("losses are counted anew, its work got further"),
            std::string::npos)
      << Decisions(job).back();
  Lose("e", 0);
  EXPECT_EQ(Show(job), "quantize queued; queued");
  Lose("f", 20);  // what it was given
  EXPECT_EQ(Get(job).state, JobState::kFailed);
  EXPECT_NE(Get(job).failure->message.find("on workers d, e, f"), std::string::npos)
      << Get(job).failure->message;
}

}  // namespace
}  // namespace tyllm::server::core
