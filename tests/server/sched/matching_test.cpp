// SPDX-License-Identifier: Apache-2.0
#include "server/sched/matching.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using domain::Capabilities;
using domain::MatchRule;
using domain::Requirement;
using domain::Shortfall;
using domain::TaskKind;

Capabilities Worker() {
  Capabilities worker;
  worker.device = "cuda";
  worker.cpus = 16;
  worker.memory_bytes = 64'000;
  worker.gpu_memory_bytes = 24'000;
  worker.disk_free_bytes = 500;
  worker.dies = 2;
  worker.toolchain_version = "1.4";
  worker.labels["zone"] = "a";
  worker.gpu = "NVIDIA H100";
  worker.gpus = 4;
  worker.tools["sim-x86_64"] = "cc 1";
  return worker;
}

TEST(Meets, TableOfPropertiesAndRules) {
  struct Case {
    Requirement requirement;
    bool met;
  };

  const std::vector<Case> cases = {
      {{"device", MatchRule::kExact, "cuda"}, true},
      {{"device", MatchRule::kExact, "cpu"}, false},
      {{"cpus", MatchRule::kMinimum, "16"}, true},
      {{"cpus", MatchRule::kMinimum, "17"}, false},
      {{"cpus", MatchRule::kExact, "16"}, true},
      {{"memory_bytes", MatchRule::kMinimum, "64000"}, true},
      {{"memory_bytes", MatchRule::kMinimum, "64001"}, false},
      {{"gpu_memory_bytes", MatchRule::kMinimum, "9000"}, true},
      {{"gpu_memory_bytes", MatchRule::kMinimum, "80000"}, false},
      {{"disk_free_bytes", MatchRule::kMinimum, "501"}, false},
      {{"dies", MatchRule::kMinimum, "2"}, true},
      {{"dies", MatchRule::kMinimum, "4"}, false},
      {{"toolchain_version", MatchRule::kExact, "1.4"}, true},
      {{"toolchain_version", MatchRule::kExact, "1.5"}, false},
      {{"label.zone", MatchRule::kExact, "a"}, true},
      {{"label.zone", MatchRule::kExact, "b"}, false},
      {{"label.rack", MatchRule::kExact, "7"}, false},
      {{"label.zone", MatchRule::kMinimum, "1"}, false},
      {{"colour", MatchRule::kExact, "red"}, false},
      {{"cpus", MatchRule::kMinimum, "many"}, false},
      {{"label.zone", MatchRule::kPreferred, "b"}, true},
      {{"gpu", MatchRule::kExact, "NVIDIA H100"}, true},
      {{"gpu", MatchRule::kExact, "NVIDIA A100"}, false},
      {{"gpu", MatchRule::kPresent, ""}, true},
      {{"gpus", MatchRule::kMinimum, "4"}, true},
      {{"gpus", MatchRule::kMinimum, "5"}, false},
      {{"tool.sim-x86_64", MatchRule::kExact, "cc 1"}, true},
      {{"tool.sim-x86_64", MatchRule::kExact, "cc 2"}, false},
      {{"tool.sim-x86_64", MatchRule::kPresent, ""}, true},
      {{"tool.tytvm", MatchRule::kPresent, ""}, false},
      {{"label.zone", MatchRule::kPresent, ""}, true},
      {{"label.rack", MatchRule::kPresent, ""}, false},
      {{"compiler", MatchRule::kPresent, ""}, false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Meets(Worker(), c.requirement), c.met)
        << c.requirement.property << " " << c.requirement.value;
  }
}

TEST(Meets, AWorkerThatStatesNoNumberOfDiesTakesAnyNumber) {
  Capabilities any = Worker();
  any.dies = 0;
  EXPECT_TRUE(Meets(any, {"dies", MatchRule::kMinimum, "4"}));
}

TEST(CanTake, AWorkerMayTakeSomeKindsOnly) {
  Capabilities worker = Worker();
  worker.kinds = {TaskKind::kConvert, TaskKind::kEvaluate};
  EXPECT_TRUE(CanTake(worker, {TaskKind::kConvert, {}}));
  EXPECT_FALSE(CanTake(worker, {TaskKind::kQuantize, {}}));
}

TEST(PreferencesMet, CountsOnlyPreferences) {
  const Needs needs{TaskKind::kConvert,
                    {{"device", MatchRule::kExact, "cuda"},
                     {"label.zone", MatchRule::kPreferred, "a"},
                     {"label.rack", MatchRule::kPreferred, "7"}}};
  EXPECT_EQ(PreferencesMet(Worker(), needs), 1);
}

TEST(FindShortfalls, SaysWhatNobodyHasAndTheBestOnOffer) {
  Capabilities small = Worker();
  small.gpu_memory_bytes = 8'000;
  const Capabilities large = Worker();
  const std::vector<const Capabilities*> workers = {&small, &large};
  const Requirement memory{"gpu_memory_bytes", MatchRule::kMinimum, "80000"};
  const Requirement rack{"label.rack", MatchRule::kExact, "7"};
  const Requirement zone{"label.zone", MatchRule::kExact, "b"};
  const Requirement device{"device", MatchRule::kExact, "cuda"};
  EXPECT_EQ(FindShortfalls({TaskKind::kConvert, {device, memory, rack, zone}}, workers),
            (std::vector<Shortfall>{{memory, "24000"}, {rack, ""}, {zone, "a"}}));
  EXPECT_TRUE(FindShortfalls({TaskKind::kConvert, {device}}, workers).empty());
  EXPECT_TRUE(FindShortfalls({TaskKind::kConvert, {memory}}, {}).empty()) << "there is nobody";
}

TEST(FindShortfalls, WhereEverythingIsThereButNotTogetherSaysWhatTheClosestLacks) {
  Capabilities gpu = Worker();
  gpu.cpus = 2;
  Capabilities cpu = Worker();
  cpu.device = "cpu";
  cpu.gpu_memory_bytes = 0;
  const std::vector<const Capabilities*> workers = {&cpu, &gpu};
  const Requirement device{"device", MatchRule::kExact, "cuda"};
  const Requirement memory{"gpu_memory_bytes", MatchRule::kMinimum, "10000"};
  const Requirement cpus{"cpus", MatchRule::kMinimum, "8"};
  EXPECT_EQ(FindShortfalls({TaskKind::kConvert, {device, memory, cpus}}, workers),
            (std::vector<Shortfall>{{cpus, "2"}}));
}

TEST(NeedsOf, EqualNeedsAreEqualWhateverTheOrder) {
  domain::PlannedTask task;
  task.spec.kind = TaskKind::kAssemble;
  task.spec.compile.dies = 3;
  const Requirement zone{"label.zone", MatchRule::kExact, "b"};
  const Requirement cpus{"cpus", MatchRule::kMinimum, "8"};
  const Needs needs = NeedsOf(task, {zone, cpus});
  EXPECT_EQ(needs, NeedsOf(task, {cpus, zone, cpus}));
  EXPECT_EQ(needs.requirements.size(), 3U) << "the dies are its own";
  task.spec.kind = TaskKind::kConvert;
  EXPECT_EQ(NeedsOf(task, {zone}).requirements, std::vector<Requirement>{zone});
}

domain::PlannedTask Die(const std::string& compiler) {
  domain::PlannedTask task;
  task.spec.kind = TaskKind::kCompileDie;
  task.spec.compiler = compiler;
  return task;
}

const Requirement kOneDie{"dies", MatchRule::kMinimum, "1"};
const Requirement kToChoose{"compiler", MatchRule::kPresent, ""};

TEST(NeedsOf, ADieNeedsItsCompilerAndNobodyGetsItBeforeOneIsChosen) {
  const Requirement some{"tool.sim-x86_64", MatchRule::kPresent, ""};
  const Needs open = NeedsOf(Die(""), {});
  EXPECT_EQ(open.requirements, (std::vector<Requirement>{kToChoose, kOneDie, some}));
  EXPECT_TRUE(AwaitsCompiler(open));
  EXPECT_FALSE(CanTake(Worker(), open));
  const Needs chosen = NeedsOf(Die("cc 1"), {});
  EXPECT_EQ(chosen.requirements,
            (std::vector<Requirement>{kOneDie, {"tool.sim-x86_64", MatchRule::kExact, "cc 1"}}));
  EXPECT_FALSE(AwaitsCompiler(chosen));
  EXPECT_TRUE(CanTake(Worker(), chosen));
  EXPECT_FALSE(CanTake(Worker(), NeedsOf(Die("cc 2"), {})));
  EXPECT_TRUE(AwaitsCompiler({TaskKind::kCompileDie, {kOneDie}})) << "queued by an older version";
}

TEST(NeedsOf, TheToolIsThatOfTheTargetAndOfTheInputs) {
  const auto tools_of = [](const domain::PlannedTask& task) {
    std::string names;
    for (const Requirement& one : NeedsOf(task, {}).requirements) {
      names += one.property.starts_with("tool.") ? one.property + " " : "";
    }
    return names;
  };
  domain::PlannedTask task = Die("cc");
  task.spec.compile.target_cpu = "armv8-a";
  EXPECT_EQ(tools_of(task), "tool.sim-aarch64 ");
  task.spec.kind = TaskKind::kAssemble;
  EXPECT_EQ(tools_of(task), "") << "it runs no compiler";
  task.spec.compile.target = domain::CompileTarget::kTytvm;
  EXPECT_EQ(tools_of(task), "tool.tytvm ");
  task = {};
  task.spec.kind = TaskKind::kEvaluate;
  EXPECT_EQ(tools_of(task), "");
  task.tools = {"video"};
  EXPECT_EQ(tools_of(task), "tool.video ");
}

TEST(FindShortfalls, TheChoiceOfACompilerIsToldOfOnlyWhereNothingElseLacks) {
  const Capabilities worker = Worker();
  const std::vector<const Capabilities*> workers = {&worker};
  EXPECT_EQ(FindShortfalls(NeedsOf(Die(""), {}), workers),
            (std::vector<Shortfall>{{kToChoose, ""}}));
  domain::PlannedTask vendor = Die("");
  vendor.spec.kind = TaskKind::kAssemble;
  vendor.spec.compile.target = domain::CompileTarget::kTytvm;
  EXPECT_EQ(FindShortfalls(NeedsOf(vendor, {}), workers),
            (std::vector<Shortfall>{{{"tool.tytvm", MatchRule::kPresent, ""}, ""}}));
  EXPECT_EQ(FindShortfalls(NeedsOf(Die("cc 2"), {}), workers),
            (std::vector<Shortfall>{{{"tool.sim-x86_64", MatchRule::kExact, "cc 2"}, "cc 1"}}));
}

TEST(WithGpuMemory, RaisesAndNeverLowers) {
  const Needs none{TaskKind::kQuantize, {}};
  const Needs some = WithGpuMemory(none, 100);
  EXPECT_EQ(some.requirements,
            (std::vector<Requirement>{{"gpu_memory_bytes", MatchRule::kMinimum, "100"}}));
  EXPECT_EQ(WithGpuMemory(some, 50), some);
  EXPECT_EQ(WithGpuMemory(some, 200).requirements[0].value, "200");
}

TEST(ResourcesOf, AreTheMinimaThatAreUsedUp) {
  const Needs needs{.kind = TaskKind::kQuantize,
                    .requirements = {{"cpus", MatchRule::kMinimum, "8"},
                                     {"memory_bytes", MatchRule::kMinimum, "1000"},
                                     {"memory_bytes", MatchRule::kMinimum, "2000"},
                                     {"gpu_memory_bytes", MatchRule::kPreferred, "500"},
                                     {"dies", MatchRule::kMinimum, "4"},
                                     {"label.rack", MatchRule::kExact, "7"}}};
  EXPECT_EQ(ResourcesOf(needs), (domain::Resources{.memory_bytes = 2000, .cpus = 8}));
  EXPECT_EQ(ResourcesOf({}), domain::Resources{});
}

TEST(HasRoom, IsWhatOthersDoNotUse) {
  domain::Capabilities worker{.memory_bytes = 3000, .cpus = 10, .gpu_memory_bytes = 100, .gpus = 1};
  const domain::Resources used{.memory_bytes = 2000, .gpu_memory_bytes = 60, .cpus = 16};
  const auto has_room = [&](const char* property, const char* value) {
    return HasRoom(worker, used, {.requirements = {{property, MatchRule::kMinimum, value}}});
  };
  EXPECT_TRUE(HasRoom(worker, used, {}));
  EXPECT_TRUE(has_room("memory_bytes", "1000"));
  EXPECT_FALSE(has_room("memory_bytes", "1001"));
  EXPECT_FALSE(has_room("cpus", "1"));
  EXPECT_TRUE(has_room("gpu_memory_bytes", "40"));
  EXPECT_FALSE(has_room("gpu_memory_bytes", "41"));
  EXPECT_FALSE(has_room("dies", "many")) << "it could not take it alone";
  worker.gpus = 2;
  EXPECT_TRUE(has_room("gpu_memory_bytes", "100")) << "it may use the other";
  EXPECT_FALSE(HasRoom(worker, Sum(used, used),
                       {.requirements = {{"memory_bytes", MatchRule::kMinimum, "1"}}}));
}

}  // namespace
}  // namespace tyllm::server::sched
