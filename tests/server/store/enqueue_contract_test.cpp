// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/queue_contract.h"

// What every queue says of a job that it has just taken: the same as when it is read.
namespace tyllm::server::store {
namespace {

using domain::JobKind;
using domain::TaskState;

class EveryQueuesNewJobs : public EveryQueue {
 protected:
  domain::JobView Add(const NewJob& job) {
    const auto made = queue_->EnqueueAndShow(job, 1000);
    EXPECT_TRUE(made.ok()) << made.status().ToString();
    EXPECT_EQ(*made, *queue_->GetJob(made->id));
    return *made;
  }

  std::vector<std::string> Events(JobId job) {
    std::vector<std::string> shown;
    const auto events = queue_->EventsAfter(job, 0, 100);
    for (const domain::JobEvent& event : *events) {
      const std::string task =
          event.task ? event.task->label + " " +
                           std::string(domain::kTaskStateNames.Name(event.task->state))
                     : "job";
      shown.push_back(task + ", " + std::string(domain::kJobStateNames.Name(event.job_state)));
    }
    return shown;
  }
};

TEST_P(EveryQueuesNewJobs, AreShownAsTheyAreReadWhateverTheirKind) {
  for (const auto& [kind, name] : domain::kJobKindNames.rows()) {
    NewJob job = SampleJob(std::string(name), kind);
    job.spec.labels = {{"team", "a \"b\""}, {"empty", ""}, {"\xc3\xa9", "\n"}};
    job.spec.project = "p1";
    job.spec.priority = -7;
    job.spec.job_class = domain::JobClass::kInteractive;
    job.spec.requirements = {{"cpus", domain::MatchRule::kMinimum, "2"}};
    job.spec.calibration = SampleTree("calibration");
    job.spec.images = {SampleTree("one"), SampleTree("two")};
    job.spec.no_cache = false;
    job.plan = domain::PlanJob(job.spec);
    const domain::JobView made = Add(job);
    EXPECT_EQ(made.spec, job.spec) << name;
    EXPECT_EQ(made.labels, job.spec.labels) << name;
    EXPECT_EQ(made.tasks.size(), job.plan.tasks.size()) << name;
    EXPECT_EQ(made.tasks[0].state, TaskState::kQueued) << name;
    EXPECT_EQ(Events(made.id).size(), static_cast<std::size_t>(made.last_event)) << name;
  }
}

TEST_P(EveryQueuesNewJobs, AreShownWithWhatTheyKeepOfTheJobThatTheyContinue) {
  NewJob job = SampleJob("again", JobKind::kPipeline);
  job.retry_of = Enqueue(SampleJob("first", JobKind::kPipeline));
  job.kept["quantize"] = {SampleTree("output"), DigestOf("key"), TaskId{1}};
  const domain::JobView made = Add(job);
  EXPECT_EQ(made.tasks[0].state, TaskState::kSucceeded);
  EXPECT_TRUE(made.tasks[0].cached);
  EXPECT_EQ(made.retry_of, job.retry_of);
  // What needs only that can begin at once.
  EXPECT_TRUE(std::any_of(made.tasks.begin(), made.tasks.end(), [](const domain::TaskView& task) {
    return task.state == TaskState::kQueued;
  }));
}

TEST_P(EveryQueuesNewJobs, HaveEndedWhenAllIsKept) {
  NewJob job = SampleJob("again", JobKind::kConvert);
  for (const domain::PlannedTask& task : job.plan.tasks) {
    job.kept[task.label] = {SampleTree("output"), DigestOf("key"), TaskId{1}};
    job.notes[task.label] = "is not told of what is kept";
  }
  const domain::JobView made = Add(job);
  EXPECT_EQ(made.state, domain::JobState::kSucceeded);
  EXPECT_EQ(made.outputs.size(), 1U);
  EXPECT_EQ(Events(made.id).back(), "job, succeeded");
  // It counts as one of the project's only while it has not ended.
  EXPECT_EQ(queue_->GetProject(job.spec.project)->queued_jobs, 0);
}

TEST_P(EveryQueuesNewJobs, AreShownWithUnfinishedWorkOfTheSameAction) {
  NewJob job = SampleJob("first", JobKind::kConvert);
  job.spec.no_cache = false;
  job.plan = domain::PlanJob(job.spec);
  const AttemptId attempt = Start(queue_->GetJob(Enqueue(job))->tasks[0].id);
  domain::Checkpoint checkpoint;
  checkpoint.tree = SampleTree("half of it");
  ASSERT_TRUE(queue_->KeepCheckpoint(attempt, checkpoint, 2500).ok());
  job.request_id = "second";
  const domain::JobView made = Add(job);
  if (GetParam() != std::string("memory")) {  // shows none
    EXPECT_EQ(made.tasks[0].checkpoint, checkpoint);
  }
}

TEST_P(EveryQueuesNewJobs, TellTheNotesOfTheirTasksLast) {
  NewJob job = SampleJob("noted", JobKind::kPipeline, 1);
  job.notes = {{"quantize", "nobody can"}, {"assemble", "nobody can"}, {"other", "not told"}};
  const JobId id = Add(job).id;
  const std::vector<std::string> expected = {"job, queued", "quantize queued, queued",
                                             "quantize queued, queued", "assemble waiting, queued"};
  EXPECT_EQ(Events(id), expected);
}

INSTANTIATE_TEST_SUITE_P(Queues, EveryQueuesNewJobs, ::testing::Values("memory", "sqlite"),
                         QueueName);

}  // namespace
}  // namespace tyllm::server::store
