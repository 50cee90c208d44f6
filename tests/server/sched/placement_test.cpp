// SPDX-License-Identifier: Apache-2.0
#include "server/sched/placement.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using domain::MatchRule;
using domain::TaskId;
using domain::TaskKind;

constexpr std::int64_t kNow = 100'000;
constexpr std::int64_t kLongAgo = 0;

BlobId Tree(const char* name) {
  return {DigestOf(std::string_view(name)), 1};
}

std::shared_ptr<const WorkerState> Worker(const std::string& name, const char* zone = "",
                                          std::set<BlobId> trees = {}) {
  WorkerState worker{.name = name, .capabilities = {}, .trees = std::move(trees)};
  worker.capabilities.labels["zone"] = zone;
  return std::make_shared<const WorkerState>(std::move(worker));
}

Candidate Task(std::int64_t id, std::int64_t due = kLongAgo) {
  Candidate candidate;
  candidate.id = TaskId{id};
  candidate.due_ms = due;
  return candidate;
}

Candidate LostBy(Candidate candidate, std::vector<std::string> workers) {
  candidate.lost_by = std::move(workers);
  return candidate;
}

Candidate FailedOn(Candidate candidate, std::vector<std::string> workers) {
  candidate.failed_on = std::move(workers);
  return candidate;
}

Candidate SpoiltBy(Candidate candidate, std::vector<std::string> workers) {
  candidate.failed_on = workers;
  candidate.spoilt_by = std::move(workers);
  return candidate;
}

Candidate WithInputs(Candidate candidate, std::vector<BlobId> inputs) {
  candidate.inputs = std::move(inputs);
  return candidate;
}

Candidate WithSizes(Candidate candidate, std::vector<std::int64_t> bytes) {
  candidate.input_bytes = std::move(bytes);
  return candidate;
}

TEST(IsLeftToLargerGpu, TableOfGuesses) {
  const auto worker = [](const std::string& name, std::int64_t gpu_memory) {
    WorkerState state{.name = name, .capabilities = {}, .trees = {}};
    state.capabilities.gpu_memory_bytes = gpu_memory;
    return std::make_shared<const WorkerState>(std::move(state));
  };
  const auto small = worker("small", 24);
  const auto large = worker("large", 80);
  const auto cpu = worker("cpu", 0);
  const Needs any{TaskKind::kQuantize, {}};
  const Policy policy;
  const std::int64_t hour = Milliseconds(policy.larger_gpu_wait).count();

  const auto expect = [&](const std::shared_ptr<const WorkerState>& asker, const Online& other,
                          const Candidate& task, std::int64_t expected, bool left,
                          const char* why) {
    const Asking asking{
        asker,
        {},
        std::make_shared<const std::vector<Online>>(std::vector<Online>{other, {asker, 1}})};
    EXPECT_EQ(IsLeftToLargerGpu(asking, any, task, expected, 0, policy), left) << why;
  };
  const Candidate task = Task(1, 0);
  expect(small, {large, 0}, task, 60, true, "even while the larger one is busy");
  expect(small, {large, 1}, task, 24, false, "it fits");
  expect(small, {large, 1}, task, 0, false, "nothing was seen");
  expect(small, {large, 1}, task, 81, false, "nobody is large enough: whoever asks tries it");
  expect(small, {large, 1, false}, task, 60, false, "the larger one takes nothing new");
  expect(small, {large, 1}, LostBy(task, {"large"}), 60, false, "it brought the larger one down");
  expect(small, {large, 0}, Task(1, -hour), 60, false, "it has waited for long enough");
  expect(small, {large, 0}, Task(1, 1 - hour), 60, true, "not yet");
  expect(large, {small, 1}, task, 60, false, "it is the larger one itself");
  expect(large, {small, 1}, task, 99, false, "nobody is larger");
  expect(cpu, {large, 1}, task, 60, false, "who has no GPU needs none of its memory");
  const Needs other_kind{TaskKind::kQuantize, {{"label.zone", MatchRule::kExact, "z"}}};
  const Asking asking{
      small, {}, std::make_shared<const std::vector<Online>>(std::vector<Online>{{large, 1}})};
  EXPECT_FALSE(IsLeftToLargerGpu(asking, other_kind, task, 60, 0, policy))
      << "the larger one cannot take it";
}

TEST(Pick, TableOfSnapshots) {
  const auto a = Worker("a");
  const auto b = Worker("b");
  const auto with_model = Worker("b", "", {Tree("model")});
  const auto with_text = Worker("c", "", {Tree("text")});
  const auto with_texts = Worker("c", "", {Tree("text"), Tree("text 2")});
  const auto in_zone = Worker("b", "z");
  const Needs any{TaskKind::kConvert, {}};
  const Needs zone_preferred{TaskKind::kConvert, {{"label.zone", MatchRule::kPreferred, "z"}}};
  const Needs zone_needed{TaskKind::kConvert, {{"label.zone", MatchRule::kExact, ""}}};
  constexpr auto kNothing = std::optional<std::size_t>();

  struct Workers {
    std::shared_ptr<const WorkerState> asking;
    std::vector<TaskId> held;
    std::vector<Online> others;
  };

  struct Case {
    const char* says;
    Workers workers;
    Needs needs;
    std::vector<Candidate> candidates;
    std::optional<std::size_t> picked;
  };

  const std::vector<Case> cases = {
      {"first in, first out", {a, {}, {}}, any, {Task(1), Task(2)}, 0},
      {"nothing there", {a, {}, {}}, any, {}, kNothing},
      {"not what it still names", {a, {{1}}, {}}, any, {Task(1), Task(2)}, 1},
      {"lost it, another is there", {a, {}, {{b, 1}}}, any, {LostBy(Task(1), {"a"}), Task(2)}, 1},
      {"lost it, another is there but busy", {a, {}, {{b, 0}}}, any, {LostBy(Task(1), {"a"})}, {}},
      {"lost it, nobody else", {a, {}, {}}, any, {LostBy(Task(1), {"a"})}, 0},
      {"lost it, so did the others", {a, {}, {{b, 1}}}, any, {LostBy(Task(1), {"a", "b"})}, 0},
      {"lost it, the other drains", {a, {}, {{b, 1, false}}}, any, {LostBy(Task(1), {"a"})}, 0},
      {"lost it, the other cannot take it",
       {a, {}, {{in_zone, 1}}},
       zone_needed,
       {LostBy(Task(1), {"a"})},
       0},
      {"another lost it", {a, {}, {{b, 1}}}, any, {LostBy(Task(1), {"b"})}, 0},
      {"failed here, another is free",
       {a, {}, {{b, 1}}},
       any,
       {FailedOn(Task(1, kNow), {"a"})},
       kNothing},
      {"failed here, another is busy", {a, {}, {{b, 0}}}, any, {FailedOn(Task(1, kNow), {"a"})}, 0},
      {"failed here, nobody came in time",
       {a, {}, {{b, 1}}},
       any,
       {FailedOn(Task(1, kNow - 5'000), {"a"})},
       0},
      {"its machine failed it, another is busy: for however long",
       {a, {}, {{b, 0}}},
       any,
       {SpoiltBy(Task(1), {"a"}), Task(2)},
       1},
      {"its machine failed it, another is benched",
       {a, {}, {{b, 0, true, {}, true}}},
       any,
       {SpoiltBy(Task(1), {"a"})},
       kNothing},
      {"its machine failed it, nobody else", {a, {}, {}}, any, {SpoiltBy(Task(1), {"a"})}, 0},
      {"its machine failed it, so did the others",
       {a, {}, {{b, 1}}},
       any,
       {SpoiltBy(Task(1), {"a", "b"})},
       0},
      {"its machine failed it, the other was lost with it",
       {a, {}, {{b, 1}}},
       any,
       {LostBy(SpoiltBy(Task(1), {"a"}), {"b"})},
       0},
      {"its machine failed it, the other is cordoned",
       {a, {}, {{b, 0, false}}},
       any,
       {SpoiltBy(Task(1), {"a"})},
       0},
      {"its machine failed it, the other cannot take it",
       {a, {}, {{in_zone, 1}}},
       zone_needed,
       {SpoiltBy(Task(1), {"a"})},
       0},
      {"another's machine failed it", {a, {}, {{b, 1}}}, any, {SpoiltBy(Task(1), {"b"})}, 0},
      {"its inputs are elsewhere",
       {a, {}, {{with_model, 1}}},
       any,
       {WithInputs(Task(1, kNow), {Tree("model")}), Task(2, kNow)},
       1},
      {"its inputs are elsewhere, where there is no room",
       {a, {}, {{with_model, 0}}},
       any,
       {WithInputs(Task(1, kNow), {Tree("model")})},
       0},
      {"its inputs are elsewhere, for too long",
       {a, {}, {{with_model, 1}}},
       any,
       {WithInputs(Task(1, kNow - 5'000), {Tree("model")})},
       0},
      {"its inputs are here",
       {with_model, {}, {{a, 1}}},
       any,
       {WithInputs(Task(1, kNow), {Tree("model")})},
       0},
      {"the largest of its inputs is elsewhere",
       {with_text, {}, {{with_model, 1}}},
       any,
       {WithSizes(WithInputs(Task(1, kNow), {Tree("model"), Tree("text")}), {10 << 20, 1 << 10})},
       kNothing},
      {"the largest of its inputs is here",
       {with_model, {}, {{with_text, 1}}},
       any,
       {WithSizes(WithInputs(Task(1, kNow), {Tree("model"), Tree("text")}), {10 << 20, 1 << 10})},
       0},
      {"many small inputs are elsewhere, the large one is here",
       {with_model, {}, {{with_texts, 1}}},
       any,
       {WithSizes(WithInputs(Task(1, kNow), {Tree("text"), Tree("text 2"), Tree("model")}),
                  {1 << 10, 1 << 10, 10 << 20})},
       0},
      {"many small inputs are elsewhere and are more together",
       {with_model, {}, {{with_texts, 1}}},
       any,
       {WithSizes(WithInputs(Task(1, kNow), {Tree("text"), Tree("text 2"), Tree("model")}),
                  {600, 600, 1000})},
       kNothing},
      {"sizes that nobody knows count alike",
       {with_model, {}, {{with_texts, 1}}},
       any,
       {WithInputs(Task(1, kNow), {Tree("text"), Tree("text 2"), Tree("model")})},
       kNothing},
      {"an input without bytes is better than none",
       {a, {}, {{with_model, 1}}},
       any,
       {WithSizes(WithInputs(Task(1, kNow), {Tree("model"), Tree("text")}), {0, 0})},
       kNothing},
      {"the same bytes elsewhere",
       {with_text, {}, {{with_model, 1}}},
       any,
       {WithSizes(WithInputs(Task(1, kNow), {Tree("model"), Tree("text")}), {7, 7})},
       0},
      {"preferred elsewhere", {a, {}, {{in_zone, 1}}}, zone_preferred, {Task(1, kNow)}, kNothing},
      {"preferred here", {in_zone, {}, {{a, 1}}}, zone_preferred, {Task(1, kNow)}, 0},
      {"a preference before inputs",
       {in_zone, {}, {{Worker("c", "", {Tree("model")}), 1}}},
       zone_preferred,
       {WithInputs(Task(1, kNow), {Tree("model")})},
       0},
      {"another luck before a preference",
       {in_zone, {}, {{a, 1}}},
       zone_preferred,
       {FailedOn(Task(1, kNow), {"b"})},
       kNothing},
  };
  for (const Case& c : cases) {
    std::vector<Online> online = c.workers.others;
    online.push_back({c.workers.asking, 1});  // it has a free slot itself
    const Asking asking{c.workers.asking, c.workers.held,
                        std::make_shared<const std::vector<Online>>(std::move(online))};
    EXPECT_EQ(Pick(asking, c.needs, c.candidates, kNow, Policy{}), c.picked) << c.says;
  }
}

}  // namespace
}  // namespace tyllm::server::sched
