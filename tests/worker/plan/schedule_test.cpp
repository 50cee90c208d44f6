// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/schedule.h"

#include <gtest/gtest.h>

#include "tests/worker/plan/shapes.h"

namespace tyllm::plan {
namespace {

struct Input {
  model::ModelShape shape = testing::DemoShape();
  WeightFormats formats{128, {"lm_head"}};
  std::int64_t dies = 4;
  std::int64_t die = 3;
  ProgramId program{ProgramKind::kLlm, 96};
  bool embedding_as_input = false;
};

Schedule Build(const Input& in) {
  const graph::Graph graph = graph::BuildGraph(in.shape);
  const Result<ShardPlan> plan = ShardModel(in.shape, in.formats.group, in.dies);
  TYLLM_CHECK(plan.ok());
  Result<Schedule> schedule =
      BuildSchedule(graph, in.formats, *plan, in.die, in.program, 1024, in.embedding_as_input);
  EXPECT_TRUE(schedule.ok()) << schedule.status().ToString();
  return *std::move(schedule);
}

std::vector<std::string> StepNames(const SegmentPlan& segment) {
  std::vector<std::string> names;
  for (const Step& step : segment.steps) {
    names.emplace_back(kStepKindNames.Name(step.kind));
  }
  return names;
}

TEST(ProgramTest, BucketsHaveTheirPublishedPrograms) {
  using enum ProgramKind;
  EXPECT_EQ(KindsOfBucket(1), (std::vector{kDecode}));
  EXPECT_EQ(KindsOfBucket(8), (std::vector{kDecode, kPrefill}));
  EXPECT_EQ(KindsOfBucket(96), (std::vector{kPrefill, kLlm}));
}

TEST(ScheduleTest, CutsALayerAtItsTwoSums) {
  const Schedule schedule = Build({});
  EXPECT_EQ(StepNames(schedule.embed), (std::vector<std::string>{"zero", "embed", "rope_table"}));
  ASSERT_EQ(schedule.layer_kinds.size(), 1U);
  const std::vector<SegmentPlan>& segments = schedule.layer_kinds[0].segments;
  ASSERT_EQ(segments.size(), 2U);
  EXPECT_EQ(segments[0].name, "attention");
  EXPECT_EQ(StepNames(segments[0]),
            (std::vector<std::string>{"add_rms_norm", "quantize", "linear", "linear", "linear",
                                      "head_rms_norm", "rope", "head_rms_norm", "rope", "store_kv",
                                      "attention", "quantize", "linear"}));
  EXPECT_EQ(segments[1].name, "mlp");
  EXPECT_EQ(StepNames(segments[1]),
            (std::vector<std::string>{"add_rms_norm", "quantize", "linear", "linear", "silu_mul",
                                      "quantize", "linear"}));
  EXPECT_EQ(StepNames(schedule.head), (std::vector<std::string>{"add_rms_norm", "linear"}));
  EXPECT_EQ(schedule.Runs().size(), 2U + 2U * 4U);
  for (const SegmentRun& run : schedule.Runs()) {
    const bool sums = run.plan != &schedule.head;
    EXPECT_EQ(run.plan->after == die::Collective::kAllReduceSum, sums);
  }
}

TEST(ScheduleTest, WeightsArePartsOfTheWhole) {
  const Schedule schedule = Build({});
  const std::vector<Weight>& weights = schedule.layer_kinds[0].weights;
  const auto find = [&](std::string_view name) {
    for (const Weight& weight : weights) {
      if (weight.name == name) {
        return weight;
      }
    }
    ADD_FAILURE() << "no weight " << name;
    return Weight{};
  };
  const Weight q{"self_attn.q_proj", WeightKind::kInt4, {192, 256}, {0, 256}, 128};
  const Weight k{"self_attn.k_proj", WeightKind::kInt4, {64, 128}, {0, 256}, 128};
  const Weight o{"self_attn.o_proj", WeightKind::kInt4, {0, 256}, {192, 256}, 64};
  const Weight down{"mlp.down_proj", WeightKind::kInt4, {0, 256}, {640, 768}, 128};
  EXPECT_EQ(find("self_attn.q_proj"), q);
  EXPECT_EQ(find("self_attn.k_proj"), k);
  EXPECT_EQ(find("self_attn.o_proj"), o);
  EXPECT_EQ(find("mlp.down_proj"), down);
  EXPECT_EQ(schedule.attention.first_head, 1);
  EXPECT_EQ(schedule.attention.kv_heads, 1);
}

TEST(ScheduleTest, TiedHeadAndEmbeddingAreOneWeight) {
  Input in;
  EXPECT_EQ(Build(in).weights.size(), 3U);  // table, frequencies, final norm
  in.shape.tied_head = false;
  EXPECT_EQ(Build(in).weights.size(), 4U);
}

TEST(ScheduleTest, LastTokenProgramsHaveOneRowOfLogits) {
  Input in;
  EXPECT_EQ(Build(in).head.steps.front().rows, StepRows::kLast);
  EXPECT_EQ(Build(in).logit_rows(), 1);
  in.program = {ProgramKind::kDecode, 8};
  EXPECT_EQ(Build(in).head.steps.front().rows, StepRows::kTokens);
  EXPECT_EQ(Build(in).logit_rows(), 8);
}

TEST(ScheduleTest, EmbeddingsAsInputAreCopiedWithoutASum) {
  Input in;
  in.embedding_as_input = true;
  const Schedule schedule = Build(in);
  EXPECT_EQ(schedule.embed.after, die::Collective::kNone);
  EXPECT_EQ(StepNames(schedule.embed)[1], "copy_embeddings");
}

TEST(ScheduleTest, LayersKeptInFloatHaveAKindOfTheirOwn) {
  Input in;
  in.formats.float_linears.insert("model.layers.2.mlp.down_proj");
  const Schedule schedule = Build(in);
  ASSERT_EQ(schedule.layer_kinds.size(), 2U);
  EXPECT_EQ(schedule.kind_of_layer, (std::vector<std::int32_t>{0, 0, 1, 0}));
  EXPECT_EQ(StepNames(schedule.layer_kinds[1].segments[1]).size(), 6U);
}

TEST(ScheduleTest, EachBindingHasItsOwnPlace) {
  const Schedule schedule = Build({});
  std::set<std::int64_t> seen;
  const auto add = [&](WeightId id, std::int64_t layer) {
    EXPECT_TRUE(seen.insert(schedule.BindingOf(id, layer)).second);
  };
  for (WeightId id = 0; id < std::ssize(schedule.weights); ++id) {
    add(id, -1);
  }
  for (std::int64_t layer = 0; layer < 4; ++layer) {
    for (WeightId id = 0; id < schedule.binding_stride(); ++id) {
      add(static_cast<WeightId>(std::ssize(schedule.weights)) + id, layer);
    }
  }
  EXPECT_EQ(std::ssize(seen), schedule.binding_count());
  EXPECT_EQ(*seen.rbegin(), schedule.binding_count() - 1);
  const auto first = static_cast<WeightId>(schedule.weights.size());
  EXPECT_EQ(FullName(schedule, first, 2), "model.layers.2.input_layernorm.weight");
}

}  // namespace
}  // namespace tyllm::plan
