// SPDX-License-Identifier: Apache-2.0
// A farm of real processes to which everything happens at once, and an oracle of what it promised.
//
//   TYLLM_CHAOS_SECONDS  how long things go wrong (60)
//   TYLLM_CHAOS_SEED     what goes wrong (printed; by default a new one every time)
//
// An hour by hand: TYLLM_CHAOS_SECONDS=3600 build/release/tests/chaos_test
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>

#include "common/format/tree.h"
#include "common/wire/types.h"
#include "tests/chaos/changes.h"
#include "tests/chaos/chaos_farm.h"
#include "tests/chaos/end_checks.h"
#include "tests/chaos/farm_client.h"
#include "tests/chaos/ledger.h"
#include "tests/chaos/scribe.h"
#include "tests/chaos/trouble.h"

namespace tyllm::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = std::chrono::steady_clock;

constexpr milliseconds kStep{40};
constexpr milliseconds kHastyLimit{2000};      // of a call while things go wrong
constexpr milliseconds kPatientLimit{60'000};  // and after
constexpr seconds kNoProgress{300};            // without any event before the farm counts as stuck
constexpr std::size_t kMostUnfinished = 8;
constexpr std::int64_t kModels = 4;

std::uint64_t Number(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Chaos : public ::testing::Test {
 protected:
  Chaos()
      : seed_(Number("TYLLM_CHAOS_SEED", std::random_device()())),
        random_(seed_),
        hasty_(farm_.ClientsNetwork().address(), kHastyLimit),
        patient_(farm_.server_address(), kPatientLimit) {
    std::cout << "TYLLM_CHAOS_SEED=" << seed_ << std::endl;
  }

  std::int64_t Below(std::int64_t limit) {
    return std::uniform_int_distribution<std::int64_t>(0, limit - 1)(random_);
  }

  void UploadModels() {
    for (int i = 0; i < kModels; ++i) {
      const std::string file = "model " + std::to_string(i) + std::string(10'000, 'm');
      const BlobId blob{DigestOf(file), file.size()};
      const std::string tree = format::ToText(format::Tree{{{.path = "weights", .blob = blob}}});
      ASSERT_TRUE(patient_.Upload(file).ok());
      ASSERT_TRUE(patient_.Upload(tree).ok());
      models_.push_back(BlobIdOf(tree));
    }
  }

  v1::SubmitJobRequest NewRequest() {
    constexpr std::array kBehaviours = {"ok", "ok", "ok", "ok", "chatty", "once", "fail"};
    const std::int64_t number = requests_++;
    v1::SubmitJobRequest request;
    request.set_request_id("request-" + std::to_string(number));
    v1::JobSpec& spec = *request.mutable_spec();
    const bool cached = Below(4) == 0;
    const char* const behaviour =
        cached ? "ok" : kBehaviours[static_cast<std::size_t>(Below(kBehaviours.size()))];
    spec.set_name(std::string(behaviour) + "-" + std::to_string(Below(600)) + "-" +
                  std::to_string(number));
    spec.set_no_cache(!cached);
    // The last model is for jobs that may share a run, and these all behave alike: equal work has
    // equal results, whatever a job is called.
    *spec.mutable_model() =
        models_[static_cast<std::size_t>(cached ? kModels - 1 : Below(kModels - 1))];
    if (Below(4) == 0) {
      spec.set_kind(v1::JOB_KIND_EVALUATE);
      v1::Requirement& requirement = *spec.add_requirements();
      requirement.set_property(std::string("label.") + Scribe::kLabel);
      requirement.set_rule(v1::MATCH_RULE_EXACT);
      requirement.set_value("yes");
      spec.set_name("ok-0-scribed" + std::to_string(number));
      spec.set_no_cache(true);
    } else if (Below(4) == 0) {
      spec.set_kind(v1::JOB_KIND_PIPELINE);
      spec.mutable_compile()->set_dies(1 + Below(2));
    } else {
      spec.set_kind(v1::JOB_KIND_CONVERT);
    }
    spec.set_project("p" + std::to_string(Below(3)));
    spec.set_priority(static_cast<int>(Below(3)));
    if (Below(5) == 0) {
      spec.set_start_within_ms(2'000 + Below(20'000));
    }
    return request;
  }

  void Submit(FarmClient& client) {
    if (Below(3) == 0 && ledger_.unfinished().size() < kMostUnfinished) {
      ledger_.Asked(NewRequest());
    }
    const auto unanswered = ledger_.unanswered();
    if (unanswered.empty()) {
      return;
    }
    // Sometimes again although an answer came: it makes no second job.
    const v1::SubmitJobRequest& request = unanswered.begin()->second;
    const auto job = client.Submit(request);
    if (job.ok()) {
      ledger_.Accepted(request, *job);
      last_ = request;
    } else if (last_ && Below(4) == 0 && !IsDeleted(*last_)) {
      if (const auto same = client.Submit(*last_); same.ok()) {
        ledger_.Accepted(*last_, *same);
      }
    }
  }

  bool IsDeleted(const v1::SubmitJobRequest& request) const {
    const auto job = ledger_.JobOf(request.request_id());
    return job && ledger_.MayBeGone(*job);
  }

  std::string AnyJob() {
    const std::vector<std::string> jobs = ledger_.jobs();
    return jobs.empty()
               ? ""
               : jobs[static_cast<std::size_t>(Below(static_cast<std::int64_t>(jobs.size())))];
  }

  void Look() {
    if (const auto all = hasty_.List(); all.ok()) {
      ledger_.SawAll(*all);
    }
    if (const std::string job = AnyJob(); !job.empty()) {
      if (const auto shown = hasty_.Get(job); shown.ok()) {
        ledger_.Saw(*shown);
      }
    }
  }

  void Cancel() {
    const std::vector<std::string> unfinished = ledger_.unfinished();
    if (unfinished.empty()) {
      return;
    }
    const std::string& job =
        unfinished[static_cast<std::size_t>(Below(static_cast<std::int64_t>(unfinished.size())))];
    ledger_.CancelAsked(job);  // the answer may get lost
    if (const auto shown = hasty_.Cancel(job); shown.ok()) {
      ledger_.Saw(*shown);
    }
  }

  void UploadSomething() {
    const std::string content = "upload " + std::to_string(uploads_++) +
                                std::string(static_cast<std::size_t>(Below(300'000)), 'u');
    if (hasty_.Upload(content).ok()) {
      uploaded_.push_back(BlobIdOf(content));
    }
  }

  void MakeTrouble(Trouble& trouble, seconds time) {
    const Time::time_point end = Time::now() + time;
    while (Time::now() < end && !HasFailure()) {
      trouble.Step();
      if (farm_.ServerRuns() && !farm_.ServerIsFrozen()) {
        switch (Below(8)) {
          case 0:
          case 1:
          case 2:
            Submit(hasty_);
            break;
          case 3:
            Look();
            break;
          case 4:
            UploadSomething();
            break;
          case 5:
            if (Below(4) == 0) {
              Cancel();
            }
            break;
          case 6:
            changes_.Step(hasty_);
            break;
          default:
            break;
        }
      }
      std::this_thread::sleep_for(kStep);  // the pace of the test
    }
  }

  // Every request is answered, every job ends.
  void ComeToRest() {
    while (!ledger_.unanswered().empty() && !HasFailure()) {
      const v1::SubmitJobRequest request = ledger_.unanswered().begin()->second;
      const auto job = patient_.Submit(request);
      ASSERT_TRUE(job.ok()) << job.status().ToString();
      ledger_.Accepted(request, *job);
    }
    changes_.Finish(patient_);
    std::int64_t events = 0;
    Time::time_point moved = Time::now();
    while (!ledger_.unfinished().empty() && !HasFailure()) {
      const auto all = patient_.List();
      ASSERT_TRUE(all.ok()) << all.status().ToString();
      ledger_.SawAll(*all);
      std::int64_t now = 0;
      for (const v1::Job& job : *all) {
        now += job.last_event();
      }
      if (now > events) {
        events = now;
        moved = Time::now();
      }
      if (Time::now() - moved > kNoProgress) {
        const auto stuck = patient_.Get(ledger_.unfinished().front());
        FAIL() << ledger_.unfinished().size() << " jobs do not end, the first:\n"
               << (stuck.ok() ? stuck->DebugString() : stuck.status().ToString());
      }
      std::this_thread::sleep_for(milliseconds(100));  // asks a process; bounded above
    }
  }

  // As many tasks at once as there are slots: none was leaked.
  void FillEverySlot() {
    constexpr int kAll = ChaosFarm::kWorkers * ChaosFarm::kSlots + ChaosFarm::kServersSlots;
    for (int i = 0; i < kAll; ++i) {
      v1::SubmitJobRequest request;
      request.set_request_id("gate-" + std::to_string(i));
      request.mutable_spec()->set_kind(v1::JOB_KIND_CONVERT);
      request.mutable_spec()->set_name("gate-0-" + std::to_string(i));
      request.mutable_spec()->set_no_cache(true);
      *request.mutable_spec()->mutable_model() = models_[0];
      const auto job = patient_.Submit(request);
      ASSERT_TRUE(job.ok()) << job.status().ToString();
      ledger_.Accepted(request, *job);
    }
    int running = 0;
    const Time::time_point end = Time::now() + kNoProgress;
    while (running < kAll && Time::now() < end) {
      std::this_thread::sleep_for(milliseconds(100));  // asks a process; bounded
      const auto workers = patient_.Workers();
      ASSERT_TRUE(workers.ok()) << workers.status().ToString();
      running = 0;
      for (const v1::Worker& worker : *workers) {
        running += worker.name() == "scribe" ? 0 : worker.task_ids_size();
      }
    }
    EXPECT_EQ(running, kAll) << "slots are lost";
    farm_.OpenGate();
    ComeToRest();
  }

  void CheckEverything(const Scribe::Memory& memory) {
    for (const std::string& id : ledger_.jobs()) {
      const auto job = patient_.Get(id);
      ASSERT_TRUE(job.ok()) << id << ": " << job.status().ToString();
      ledger_.Saw(*job);
      ledger_.CheckEnd(*job);
      CheckResults(patient_, *job);
    }
    for (const v1::BlobId& blob : uploaded_) {
      const auto content = patient_.Download(blob);
      ASSERT_TRUE(content.ok()) << content.status().ToString();
      EXPECT_EQ(BlobIdOf(*content).sha256(), blob.sha256());
    }
    CheckLogs(patient_, memory);
    CheckSlots(patient_);
  }

  void Tell(const Trouble& trouble, const Scribe::Memory& memory) const {
    for (const auto& [what, times] : trouble.happened()) {
      std::cout << times << " x " << what << "\n";
    }
    for (const auto& [what, times] : changes_.happened()) {
      std::cout << times << " x " << what << " acknowledged\n";
    }
    std::cout << ledger_.jobs().size() << " jobs accepted, " << ledger_.finished() << " ended, "
              << uploaded_.size() << " uploads acknowledged, " << memory.acknowledged.size()
              << " logs followed, " << memory.silences << " silences, " << memory.refused
              << " appends of fenced attempts refused" << std::endl;
  }

  const std::uint64_t seed_;
  std::mt19937_64 random_;
  ChaosFarm farm_;
  FarmClient hasty_;
  FarmClient patient_;
  Ledger ledger_;
  Changes changes_{ledger_, seed_ + 3};
  std::vector<v1::BlobId> models_;
  std::vector<v1::BlobId> uploaded_;
  std::optional<v1::SubmitJobRequest> last_;
  std::int64_t requests_ = 0;
  std::int64_t uploads_ = 0;
};

TEST_F(Chaos, WhateverHappensEveryPromiseIsKept) {
  ASSERT_NO_FATAL_FAILURE(farm_.StartServer());
  ASSERT_NO_FATAL_FAILURE(UploadModels());
  for (int i = 0; i < ChaosFarm::kWorkers; ++i) {
    farm_.StartWorker(i);
  }
  Scribe scribe(farm_.WorkersNetwork().address(), seed_ + 1);
  Trouble trouble(farm_, seed_ + 2);
  MakeTrouble(trouble, seconds(Number("TYLLM_CHAOS_SECONDS", 60)));
  trouble.End();
  ASSERT_NO_FATAL_FAILURE(ComeToRest());
  ASSERT_NO_FATAL_FAILURE(FillEverySlot());
  scribe.Stop();
  const Scribe::Memory memory = scribe.Remembers();
  Tell(trouble, memory);
  CheckEverything(memory);
  farm_.StopServer();
  farm_.CheckData();
  CheckDatabase(farm_.data() / "queue.db", ledger_.jobs().size());
  EXPECT_GT(ledger_.jobs().size(), 3U);
}

}  // namespace
}  // namespace tyllm::testing
