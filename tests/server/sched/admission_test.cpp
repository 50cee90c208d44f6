// SPDX-License-Identifier: Apache-2.0
#include "server/sched/admission.h"

#include <gtest/gtest.h>

#include <vector>

namespace tyllm::server::sched {
namespace {

TEST(Admit, TableOfQuotas) {
  struct Case {
    const char* says;
    std::optional<std::int64_t> max_queued;
    std::optional<std::int64_t> max_stored;
    Admission admission;
    bool admitted;
  };

  const std::vector<Case> cases = {
      {"no quotas", {}, {}, {1'000'000, 1LL << 60, 1}, true},
      {"one more job", 3, {}, {2, 0, 0}, true},
      {"too many jobs", 3, {}, {3, 0, 0}, false},
      {"a quota that was lowered later", 3, {}, {9, 0, 0}, false},
      {"nothing at all is allowed", 0, {}, {0, 0, 0}, false},
      {"the last byte", {}, 100, {0, 60, 40}, true},
      {"a byte too many", {}, 100, {0, 60, 41}, false},
      {"over the limit already", {}, 100, {0, 101, 0}, false},
  };
  for (const Case& c : cases) {
    domain::Project project{.name = "vision"};
    project.max_queued_jobs = c.max_queued;
    project.max_stored_bytes = c.max_stored;
    const Status status = Admit(project, c.admission);
    EXPECT_EQ(status.ok(), c.admitted) << c.says;
    if (!c.admitted) {
      EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << c.says;
      EXPECT_NE(status.message().find("project 'vision'"), std::string::npos) << c.says;
      EXPECT_NE(status.message().find("quota"), std::string::npos) << c.says;
    }
  }
}

}  // namespace
}  // namespace tyllm::server::sched
