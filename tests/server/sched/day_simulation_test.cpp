// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/server/sched/simulated_farm.h"

namespace tyllm::server::sched {
namespace {

using domain::JobClass;
using domain::TaskKind;

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kHour = 3600 * kSecond;
constexpr std::int64_t kDay = 24 * kHour;
constexpr int kJobsAProject = 2500;
constexpr std::int64_t kFloodLimit = 6;

struct ProjectRow {
  const char* name;
  double weight;
  bool all_at_once;  ///< every job in the first minute, else over the day
};

constexpr ProjectRow kProjects[] = {
    {"vision", 4, false}, {"language", 2, false}, {"research", 1, false}, {"flood", 1, true}};

/// Numbers by chance, the same in every run.
class Dice {
 public:
  std::int64_t Between(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }

 private:
  std::mt19937_64 random_{11};
};

SimulatedJob MakeJob(const ProjectRow& project, int number, Dice& dice) {
  SimulatedJob job;
  job.lane.project = project.name;
  job.lane.needs.kind = TaskKind::kQuantize;
  job.lane.priority = static_cast<std::int32_t>(dice.Between(-5, 5));
  job.arrives_ms = project.all_at_once ? number * 20 : number * (kDay / kJobsAProject);
  job.runs_ms = dice.Between(100, 500) * kSecond;
  if (dice.Between(0, 19) == 0) {
    job.lane.job_class = JobClass::kInteractive;
    job.runs_ms = dice.Between(20, 60) * kSecond;
  } else if (dice.Between(0, 19) == 0) {
    job.lane.needs = WithGpuMemory(job.lane.needs, 40);
  }
  return job;
}

/// Four projects ask for about as much each, together for twice what the farm has in a day.
const SimulatedFarm& Day() {
  static const std::unique_ptr<SimulatedFarm> day = [] {
    const SimulatedFarm::Chances chances{.crash = 0.02, .loss = 0.005};
    auto farm = std::make_unique<SimulatedFarm>(7, Policy{}, chances);
    for (int i = 0; i < 8; ++i) {
      domain::Capabilities worker;
      worker.device = "cuda";
      worker.gpus = 2;
      worker.slots = 2;
      worker.gpu_memory_bytes = i < 3 ? 80 : 24;
      farm->AddWorker(worker);
    }
    for (const ProjectRow& project : kProjects) {
      farm->SetProject(project.name, project.weight,
                       project.all_at_once ? std::optional(kFloodLimit) : std::nullopt);
    }
    Dice dice;
    for (int i = 0; i < kJobsAProject; ++i) {
      for (const ProjectRow& project : kProjects) {
        farm->AddJob(MakeJob(project, i, dice));
      }
    }
    farm->Run();
    return farm;
  }();
  return *day;
}

TEST(DayOfJobs, SharesFollowWeightsAndNothingStarves) {
  // Everything ends, and no slot is left free for long while somebody could use it.
  ASSERT_EQ(Day().jobs().size(), 10'000U);
  for (const SimulatedJob& job : Day().jobs()) {
    ASSERT_GE(job.ended_ms, 0);
    ASSERT_LE(job.attempts, 12);
  }
  EXPECT_EQ(Day().idle_faults(), 0);
  EXPECT_LE(Day().most_running("flood"), kFloodLimit);

  // Shares of device-seconds, from when all four have a backlog to the end of the day.
  double all = 0;
  double weights = 0;
  for (const ProjectRow& project : kProjects) {
    all += Day().DeviceSeconds(project.name, 4 * kHour, kDay);
    weights += project.weight;
  }
  for (const ProjectRow& project : kProjects) {
    const double share = Day().DeviceSeconds(project.name, 4 * kHour, kDay) / all;
    const double due = project.weight / weights;
    EXPECT_NEAR(share / due, 1, 0.1) << project.name << " got " << share << " of " << due;
    for (std::int64_t hour = 4; hour < 24; ++hour) {
      EXPECT_GT(Day().DeviceSeconds(project.name, hour * kHour, (hour + 1) * kHour), 0)
          << project.name << " got nothing in hour " << hour;
    }
  }
}

TEST(DayOfJobs, WithinAProjectPriorityIsWorthABoundedTime) {
  // A job that came earlier by more than all points of priority are worth starts earlier.
  constexpr std::int64_t kWorth = 10 * 600 * kSecond;
  std::map<std::string, std::vector<const SimulatedJob*>> alike;
  for (const SimulatedJob& job : Day().jobs()) {
    if (job.lane.job_class == JobClass::kBatch && job.lane.needs.requirements.empty()) {
      alike[job.lane.project].push_back(&job);
    }
  }
  for (auto& [project, jobs] : alike) {
    std::sort(jobs.begin(), jobs.end(),
              [](const auto* a, const auto* b) { return a->started_ms < b->started_ms; });
    std::int64_t latest_arrival = 0;
    for (const SimulatedJob* job : jobs) {
      EXPECT_GE(job->arrives_ms + kWorth, latest_arrival) << project;
      latest_arrival = std::max(latest_arrival, job->arrives_ms);
    }
  }
}

TEST(DayOfJobs, InteractiveJobsStartSoon) {
  std::vector<std::int64_t> waits;
  std::vector<std::int64_t> batch;
  for (const SimulatedJob& job : Day().jobs()) {
    if (job.lane.project != std::string("flood") && job.arrives_ms > 4 * kHour) {
      (job.lane.job_class == JobClass::kInteractive ? waits : batch)
          .push_back(job.started_ms - job.arrives_ms);
    }
  }
  std::sort(waits.begin(), waits.end());
  std::sort(batch.begin(), batch.end());
  ASSERT_GT(waits.size(), 200U);
  EXPECT_LT(waits[waits.size() * 95 / 100], 120 * kSecond);
  EXPECT_GT(batch[batch.size() / 2], 1800 * kSecond) << "the farm is too idle to tell";
}

TEST(DayWithABrokenWorker, NoJobFailsAndLittleIsTriedThere) {
  SimulatedFarm farm(7, Policy{}, {});
  domain::Capabilities worker;
  worker.device = "cuda";
  worker.gpus = 1;
  for (int i = 0; i < 3; ++i) {
    farm.AddWorker(worker);
  }
  farm.AddBrokenWorker(worker);
  farm.SetProject("vision", 1, std::nullopt);
  constexpr int kJobs = 800;  // as many as three workers do in a day
  Dice dice;
  for (int i = 0; i < kJobs; ++i) {
    SimulatedJob job;
    job.lane.project = "vision";
    job.arrives_ms = i * (kDay / kJobs);
    job.runs_ms = dice.Between(100, 500) * kSecond;
    farm.AddJob(job);
  }
  farm.Run();
  int attempts = 0;
  for (const SimulatedJob& job : farm.jobs()) {
    EXPECT_FALSE(job.failed);
    EXPECT_LE(job.attempts, 2);
    attempts += job.attempts;
  }
  constexpr int kProbes = 24 * 6 + 8;  // one in ten minutes, in the end
  EXPECT_LE(attempts, kJobs + kProbes);
  EXPECT_GT(attempts, kJobs + 20) << "it is tried again";
}

}  // namespace
}  // namespace tyllm::server::sched
