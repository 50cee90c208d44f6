// SPDX-License-Identifier: Apache-2.0
#include "server/sched/assignment.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using domain::TaskId;

Candidate Task(std::int64_t id, std::vector<std::string> lost_by = {}, const char* key = nullptr) {
  Candidate candidate{TaskId{id}, std::nullopt, std::move(lost_by)};
  if (key != nullptr) {
    candidate.shared_key = DigestOf(std::string_view(key));
  }
  return candidate;
}

TEST(Choose, TableOfSnapshots) {
  struct Case {
    const char* says;
    Asking asking;
    std::vector<Candidate> candidates;
    std::vector<TaskId> chosen;
  };

  const std::vector<Case> cases = {
      {"no slot, no task", {"a", 0, {}, {}}, {Task(1)}, {}},
      {"more held than slots", {"a", -1, {}, {}}, {Task(1)}, {}},
      {"first in, first out", {"a", 2, {}, {}}, {Task(1), Task(2), Task(3)}, {{1}, {2}}},
      {"nothing there", {"a", 2, {}, {}}, {}, {}},
      {"not what it still names", {"a", 1, {{1}}, {}}, {Task(1), Task(2)}, {{2}}},
      {"lost it, another is there", {"a", 1, {}, {"b"}}, {Task(1, {"a"}), Task(2)}, {{2}}},
      {"lost it, nobody else", {"a", 1, {}, {}}, {Task(1, {"a"})}, {{1}}},
      {"lost it, so did the others", {"a", 1, {}, {"b"}}, {Task(1, {"a", "b"})}, {{1}}},
      {"another lost it", {"a", 1, {}, {"b"}}, {Task(1, {"b"})}, {{1}}},
      {"one of a kind at a time",
       {"a", 3, {}, {}},
       {Task(1, {}, "k"), Task(2, {}, "k"), Task(3)},
       {{1}, {3}}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Choose(c.asking, c.candidates), c.chosen) << c.says;
  }
}

}  // namespace
}  // namespace tyllm::server::sched
