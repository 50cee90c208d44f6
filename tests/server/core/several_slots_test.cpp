// SPDX-License-Identifier: Apache-2.0
#include "tests/server/core/await.h"

// A worker with several slots is given several tasks at once, some of them read ahead.
namespace tyllm::server::core {
namespace {

class SeveralSlots : public FarmFixture {
 protected:
  void SubmitTo(const std::string& project, const std::string& model) {
    domain::JobSpec spec = Spec(JobKind::kConvert);
    spec.model = Upload(model);
    spec.project = project;
    ASSERT_TRUE(Submit("r" + std::to_string(++requests_), spec).ok());
  }

  std::size_t Started(int slots) {
    SyncRequest request = From("w");
    request.capabilities.slots = slots;
    return Sync(request)->start.size();
  }

  int requests_ = 0;
};

TEST_F(SeveralSlots, GetAsManyTasksAsThereAre) {
  for (int i = 0; i < 5; ++i) {
    SubmitTo("p", "model " + std::to_string(i));
  }
  EXPECT_EQ(Started(3), 3U);
  EXPECT_EQ(Started(8), 5U);  // the three are told again: the worker names none of them
}

// Each project's second task is read together with its first, before the other's is begun.
TEST_F(SeveralSlots, OneOfTwoTasksWithOneResultRuns) {
  for (const std::string project : {"p", "q"}) {
    SubmitTo(project, "of " + project);
    SubmitTo(project, "of both");
  }
  EXPECT_EQ(Started(8), 3U);
}

}  // namespace
}  // namespace tyllm::server::core
