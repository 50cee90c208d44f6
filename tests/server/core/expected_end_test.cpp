// SPDX-License-Identifier: Apache-2.0
#include "tests/server/core/gpu_farm.h"

// When a job is expected to end: what is not known is not told.
namespace tyllm::server::core {
namespace {

using std::chrono::seconds;

class ExpectedEnd : public GpuFarm {
 protected:
  domain::JobSpec Model(const std::string& name, const std::string& content) {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.name = name;
    spec.model = Upload(content);
    return spec;
  }

  /// A conversion of a model of this name takes so long.
  void Learn(const std::string& name, seconds time) {
    ASSERT_TRUE(Submit("learn " + name, Model(name, "seen " + name)).ok());
    AttemptId id = Started(From("w")).at(0).id;
    for (seconds ran{0}; ran < time; ran += seconds(10)) {
      Advance(seconds(10));
      ASSERT_TRUE(Sync(At(id, ran.count() / 10, 0)).ok());
    }
    End(From("w"), id, domain::Succeeded{Upload("out of " + name)});
  }

  SyncRequest At(const AttemptId& id, std::int64_t done, std::int64_t total) {
    return From("w", {{.id = id,
                       .progress = {.stage = "convert", .done = done, .total = total},
                       .outcome = {}}});
  }

  /// Milliseconds from now; -1: nothing is told.
  std::int64_t EndsIn(JobId job) {
    const std::int64_t end = Get(job).expected_end_unix_ms;
    return end == 0 ? -1 : end - clock_.UnixMillis();
  }
};

TEST_F(ExpectedEnd, IsNotToldOfAModelThatWasNeverSeen) {
  Learn("seen", seconds(60));
  ASSERT_TRUE(Started(From("w")).empty());
  const JobId known = Submit("1", Model("seen", "another"))->id;
  EXPECT_EQ(EndsIn(known), 60'000);
  const JobId unknown = Submit("2", Model("unseen", "a third"))->id;
  EXPECT_EQ(EndsIn(unknown), -1);
}

TEST_F(ExpectedEnd, IsNotToldOfWhatNobodyTakes) {
  Learn("seen", seconds(60));
  ASSERT_TRUE(Started(From("w")).empty());
  domain::JobSpec spec = Model("seen", "another");
  spec.requirements = {
      {"gpu_memory_bytes", domain::MatchRule::kMinimum, std::to_string(80 * kGiB)}};
  const JobId unsatisfiable = Submit("1", spec)->id;
  EXPECT_EQ(EndsIn(unsatisfiable), -1);
  const JobId cordoned = Submit("2", Model("seen", "a third"))->id;
  EXPECT_EQ(EndsIn(cordoned), 60'000);
  ASSERT_TRUE(Order("w", domain::WorkerMode::kCordoned).ok());
  EXPECT_EQ(EndsIn(cordoned), -1);
}

TEST_F(ExpectedEnd, OfWhatRunsIsWhatItsProgressSaysWhenItIsLate) {
  Learn("seen", seconds(60));
  const JobId job = Submit("1", Model("seen", "another"))->id;
  const AttemptId id = Started(From("w")).at(0).id;
  ASSERT_TRUE(Sync(At(id, 0, 20)).ok());
  Advance(seconds(20));
  ASSERT_TRUE(Sync(At(id, 2, 20)).ok());
  EXPECT_EQ(EndsIn(job), 180'000) << "more than tasks like it take";
  for (int i = 3; i <= 16; ++i) {
    Advance(seconds(10));
    ASSERT_TRUE(Sync(At(id, i, 20)).ok());
  }
  EXPECT_EQ(EndsIn(job), 40'000);
}

TEST_F(ExpectedEnd, OfWhatIsLateAndTellsNothingIsNotTold) {
  Learn("seen", seconds(60));
  const JobId job = Submit("1", Model("seen", "another"))->id;
  const AttemptId id = Started(From("w")).at(0).id;
  Advance(seconds(20));
  ASSERT_TRUE(Sync(At(id, 1, 0)).ok());
  EXPECT_EQ(EndsIn(job), 40'000);
  for (int i = 2; i <= 7; ++i) {
    Advance(seconds(10));
    ASSERT_TRUE(Sync(At(id, i, 0)).ok());
  }
  EXPECT_EQ(EndsIn(job), -1);
}

}  // namespace
}  // namespace tyllm::server::core
