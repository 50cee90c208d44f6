// SPDX-License-Identifier: Apache-2.0
#include "server/sched/compiler_choice.h"

#include <gtest/gtest.h>

namespace tyllm::server::sched {
namespace {

using domain::Capabilities;
using domain::MatchRule;
using domain::Requirement;

Capabilities With(const std::string& compiler, std::int32_t cpus = 4) {
  Capabilities worker;
  worker.cpus = cpus;
  worker.tools["sim-x86_64"] = compiler;
  return worker;
}

std::string Choose(const std::vector<Capabilities>& workers, std::vector<Requirement> of_job = {},
                   std::string_view rather = {}) {
  domain::PlannedTask die;
  die.spec.kind = domain::TaskKind::kCompileDie;
  std::vector<const Capabilities*> offers;
  for (const Capabilities& worker : workers) {
    offers.push_back(&worker);
  }
  return ChooseCompiler(die, of_job, offers, rather);
}

TEST(ChooseCompiler, IsThatOfMostWorkersAndOfAsManyAlwaysTheSame) {
  EXPECT_EQ(Choose({}), "");
  EXPECT_EQ(Choose({With("b"), With("a"), With("b")}), "b");
  EXPECT_EQ(Choose({With("b"), With("a")}), "a");
  EXPECT_EQ(Choose({With("a"), With("b")}), "a");
}

TEST(ChooseCompiler, OnlyWhoCouldTakeTheTaskCounts) {
  const Requirement cpus{"cpus", MatchRule::kMinimum, "8"};
  EXPECT_EQ(Choose({With("a"), With("a"), With("b", 8)}, {cpus}), "b");
  EXPECT_EQ(Choose({With("a"), With("b")}, {{"tool.sim-x86_64", MatchRule::kExact, "b"}}), "b");
  Capabilities other = With("a");
  other.kinds = {domain::TaskKind::kQuantize};
  EXPECT_EQ(Choose({other}), "");
  Capabilities without;
  without.tools["sim-aarch64"] = "a";
  EXPECT_EQ(Choose({without}), "");
}

TEST(ChooseCompiler, OneThatIsPreferredIsTakenWhereItIsThere) {
  EXPECT_EQ(Choose({With("a"), With("a"), With("b")}, {}, "b"), "b");
  EXPECT_EQ(Choose({With("a")}, {}, "b"), "a");
}

TEST(FirstCompilation, IsADiesOrTheVendorsOwn) {
  domain::JobSpec spec;
  spec.kind = domain::JobKind::kPipeline;
  spec.compile.dies = 2;
  EXPECT_EQ(FirstCompilation(domain::PlanJob(spec))->spec.kind, domain::TaskKind::kCompileDie);
  spec.compile.target = domain::CompileTarget::kTytvm;
  EXPECT_EQ(FirstCompilation(domain::PlanJob(spec))->spec.kind, domain::TaskKind::kAssemble);
  spec.kind = domain::JobKind::kQuantize;
  EXPECT_EQ(FirstCompilation(domain::PlanJob(spec)), nullptr);
}

}  // namespace
}  // namespace tyllm::server::sched
