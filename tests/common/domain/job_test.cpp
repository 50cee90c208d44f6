// SPDX-License-Identifier: Apache-2.0
#include "common/domain/job.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "common/domain/output_names.h"
#include "common/domain/tools.h"

namespace tyllm::domain {
namespace {

BlobId Tree(char c) {
  return {DigestOf(std::string(1, c)), 10};
}

JobSpec Spec(JobKind kind) {
  JobSpec spec;
  spec.kind = kind;
  spec.name = "Qwen3-1.7B";
  spec.model = Tree('m');
  return spec;
}

/// "label(kind): name=tree|<from>, ..." a line.
std::string Describe(const JobPlan& plan) {
  std::string text;
  for (const PlannedTask& task : plan.tasks) {
    text += task.label + "(" + std::string(NamesOf(task.spec.kind).Name(task.spec.kind)) + "):";
    for (const TaskInput& input : task.inputs) {
      text += " " + input.name + "=" + (input.tree ? "given" : "<" + input.from + ">");
    }
    text += "\n";
  }
  for (const auto& [output, label] : plan.outputs) {
    text += output + " is " + label + "\n";
  }
  return text;
}

TEST(PlanJob, EachKindHasItsTasksInAnOrderInWhichTheyCanRun) {
  JobSpec pipeline = Spec(JobKind::kPipeline);
  pipeline.compile.dies = 2;
  pipeline.calibration = Tree('c');
  pipeline.text = Tree('t');
  JobSpec evaluate = Spec(JobKind::kEvaluate);
  evaluate.reference = Tree('r');
  evaluate.questions = Tree('q');
  evaluate.visual_questions = Tree('v');
  evaluate.images = {Tree('1'), Tree('2')};
  evaluate.videos = {Tree('3')};
  evaluate.tokenizer = Tree('t');  // no compiler reads it
  JobSpec compile = Spec(JobKind::kCompile);
  compile.tokenizer = Tree('t');
  compile.calibration = Tree('c');  // nor anybody this

  struct Case {
    JobSpec spec;
    std::string plan;
  };

  const std::vector<Case> cases = {
      {Spec(JobKind::kQuantize), "quantize(quantize): model=given\nmodel is quantize\n"},
      {Spec(JobKind::kConvert), "convert(convert): model=given\nmodel is convert\n"},
      {evaluate,
       "evaluate(evaluate): model=given reference=given questions=given visual_questions=given "
       "images0=given images1=given videos0=given\n"
       "evaluation is evaluate\n"},
      {compile,
       "compile.die0(compile_die): model=given tokenizer=given\n"
       "assemble(assemble): model=given tokenizer=given die0=<compile.die0>\n"
       "artifact is assemble\n"},
      {pipeline,
       "quantize(quantize): model=given calibration=given\n"
       "convert(convert): model=<quantize>\n"
       "evaluate(evaluate): model=<convert> reference=given text=given\n"
       "compile.die0(compile_die): model=<convert>\n"
       "compile.die1(compile_die): model=<convert>\n"
       "assemble(assemble): model=<convert> die0=<compile.die0> die1=<compile.die1>\n"
       "artifact is assemble\nevaluation is evaluate\nmodel is convert\n"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Describe(PlanJob(c.spec)), c.plan);
  }
}

TEST(PlanJob, APipelineQuantizesToWhatConvertTakesAndComparesWithTheFloatModel) {
  JobSpec spec = Spec(JobKind::kPipeline);
  spec.quantize.format = QuantizedFormat::kAwq;
  const JobPlan plan = PlanJob(spec);
  EXPECT_EQ(plan.tasks[0].spec.quantize.format, QuantizedFormat::kAmtc);
  EXPECT_EQ(plan.tasks[2].inputs[1], (TaskInput{"reference", spec.model, ""}));
}

TEST(PlanJob, EveryDieIsCompiledOnceAndKnowsItsNumber) {
  JobSpec spec = Spec(JobKind::kCompile);
  spec.compile.dies = 3;
  const JobPlan plan = PlanJob(spec);
  ASSERT_EQ(plan.tasks.size(), 4U);
  for (std::size_t die = 0; die < 3; ++die) {
    EXPECT_EQ(plan.tasks[die].spec.die, static_cast<std::int64_t>(die));
    EXPECT_EQ(plan.tasks[die].spec.compile, spec.compile);
  }
}

TEST(CheckJobSpec, NamesTheFieldThatIsWrong) {
  struct Case {
    std::function<void(JobSpec&)> damage;
    std::string names;
  };

  const std::vector<Case> cases = {
      {[](JobSpec& s) { s.name = ""; }, "name is ''"},
      {[](JobSpec& s) { s.name = "../x"; }, "name is '../x'"},
      {[](JobSpec& s) { s.name = ".hidden"; }, "name is '.hidden'"},
      {[](JobSpec& s) { s.name = std::string(129, 'a'); }, "expected 1 to 128"},
      {[](JobSpec& s) { s.labels[""] = "x"; }, "labels"},
      {[](JobSpec& s) { s.labels["x"] = std::string(257, 'a'); }, "labels"},
      {[](JobSpec& s) { s.model = {}; }, "model is absent"},
      {[](JobSpec& s) { s.quantize.group_size = 12; }, "quantize: group_size is 12"},
      {[](JobSpec& s) { s.convert.quant_type = QuantizedFormat::kAmtc; }, "convert: quant_type"},
      {[](JobSpec& s) { s.evaluate.window = 1; }, "evaluate: window is 1"},
      {[](JobSpec& s) { s.compile.dies = 17; }, "compile: dies is 17"},
      {[](JobSpec& s) { s.images = {Tree('i')}; }, "images has 1 entries, expected a prompt"},
      {[](JobSpec& s) { s.evaluate.chat.system = "x"; }, "evaluate: chat: system is given"},
      {[](JobSpec& s) { s.evaluate.video_fps = 0.0; }, "evaluate: video_fps is 0"},
      {[](JobSpec& s) { s.requirements = {{"foo", MatchRule::kMinimum, "4"}}; },
       "the property 'foo', expected one of: device, cpus, memory_bytes, gpu, gpus, "
       "gpu_memory_bytes, disk_free_bytes, dies, toolchain_version, tool.NAME, label.NAME"},
      {[](JobSpec& s) { s.requirements = {{"label.", MatchRule::kExact, "4"}}; }, "'label.'"},
      {[](JobSpec& s) { s.requirements = {{"device", MatchRule::kMinimum, "4"}}; },
       "least device, expected one of a number: cpus"},
      {[](JobSpec& s) { s.requirements = {{"tool.video", MatchRule::kMinimum, "4"}}; },
       "least tool.video, expected one of a number: cpus"},
      {[](JobSpec& s) { s.requirements = {{"tool.", MatchRule::kPresent, ""}}; }, "'tool.'"},
      {[](JobSpec& s) { s.requirements = {{"compiler", MatchRule::kPresent, ""}}; }, "'compiler'"},
      {[](JobSpec& s) { s.compile.target_cpu = "native"; },
       "compile: target_cpu is 'native', which is another CPU on every worker"},
  };
  EXPECT_TRUE(Check(Spec(JobKind::kPipeline)).ok());
  for (const Case& c : cases) {
    JobSpec spec = Spec(JobKind::kPipeline);
    c.damage(spec);
    const Status status = Check(spec);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << c.names;
    EXPECT_NE(status.message().find(c.names), std::string::npos) << status.message();
  }
}

TEST(CheckJobSpec, EveryPropertyOfWorkersAndTheirLabelsCanBeRequired) {
  JobSpec spec = Spec(JobKind::kPipeline);
  for (const WorkerProperty& property : kWorkerProperties) {
    spec.requirements.push_back({std::string(property.name), MatchRule::kExact, "1"});
    if (property.is_number) {
      spec.requirements.push_back({std::string(property.name), MatchRule::kMinimum, "1"});
    }
  }
  spec.requirements.push_back({"label.zone", MatchRule::kPreferred, "a"});
  spec.requirements.push_back({"label.rank", MatchRule::kMinimum, "3"});
  spec.requirements.push_back({"tool.video", MatchRule::kPresent, ""});
  spec.requirements.push_back({"tool.sim-x86_64", MatchRule::kExact, "cc 1"});
  EXPECT_TRUE(Check(spec).ok()) << Check(spec).ToString();
}

TEST(CheckJobSpec, ConvertsToEveryFormatOnItsOwn) {
  for (const auto& [format, name] : kQuantizedFormatNames.rows()) {
    JobSpec spec = Spec(JobKind::kConvert);
    spec.convert.quant_type = format;
    EXPECT_TRUE(Check(spec).ok()) << name;
  }
}

TEST(CheckJobSpec, AKindDoesNotMindOptionsThatItDoesNotRead) {
  JobSpec spec = Spec(JobKind::kConvert);
  spec.compile.dies = 99;
  EXPECT_TRUE(Check(spec).ok());
}

TEST(ActionKey, FollowsExactlyWhatTheKindReads) {
  TaskSpec spec;
  spec.kind = TaskKind::kQuantize;
  spec.name = "a";
  const std::map<std::string, BlobId> inputs = {{"model", Tree('m')}};
  const Sha256 key = ActionKey(spec, inputs, "1.0");

  TaskSpec same = spec;
  same.name = "b";
  same.compile.dies = 4;
  same.evaluate.window = 7;
  EXPECT_EQ(ActionKey(same, inputs, "1.0"), key);

  TaskSpec other = spec;
  other.quantize.keep_float = {".*visual"};
  EXPECT_NE(ActionKey(other, inputs, "1.0"), key);
  EXPECT_NE(ActionKey(spec, inputs, "1.1"), key);
  EXPECT_NE(ActionKey(spec, {{"model", Tree('n')}}, "1.0"), key);
  EXPECT_NE(ActionKey(spec, {{"modem", Tree('m')}}, "1.0"), key);
}

TEST(ActionKey, TellsDiesAndNamesOfArtifactsApart) {
  TaskSpec die0{.kind = TaskKind::kCompileDie, .name = "a"};
  TaskSpec die1 = die0;
  die1.die = 1;
  EXPECT_NE(ActionKey(die0, {}, "1"), ActionKey(die1, {}, "1"));
  TaskSpec a{.kind = TaskKind::kAssemble, .name = "a"};
  TaskSpec b{.kind = TaskKind::kAssemble, .name = "b"};
  EXPECT_NE(ActionKey(a, {}, "1"), ActionKey(b, {}, "1"));
}

TEST(ActionKey, OfCompilationsHasTheirCompilerAndOfOthersNone) {
  for (const TaskKind kind : {TaskKind::kCompileDie, TaskKind::kAssemble}) {
    const TaskSpec one{.kind = kind, .name = "a", .compiler = "cc 1"};
    const TaskSpec other{.kind = kind, .name = "a", .compiler = "cc 2"};
    EXPECT_NE(ActionKey(one, {}, "1"), ActionKey(other, {}, "1"));
  }
  const TaskSpec one{.kind = TaskKind::kQuantize, .compiler = "cc 1"};
  const TaskSpec other{.kind = TaskKind::kQuantize};
  EXPECT_EQ(ActionKey(one, {}, "1"), ActionKey(other, {}, "1"));
}

TEST(SetCompiler, IsOfAllCompilationsOfThePlan) {
  JobPlan plan = PlanJob(Spec(JobKind::kPipeline));
  SetCompiler(plan, "cc 1");
  for (const PlannedTask& task : plan.tasks) {
    EXPECT_EQ(task.spec.compiler, HasCompiler(task.spec) ? "cc 1" : "") << task.label;
  }
}

TEST(ActionKey, CoversWhatACompiledModelLooksAt) {
  const TaskSpec die{.kind = TaskKind::kCompileDie, .name = "a"};
  std::set<std::string> keys = {ActionKey(die, {}, "1").Hex()};
  for (const auto& change : std::vector<std::function<void(VisualOptions&)>>{
           [](VisualOptions& v) { v.image = "640x360"; },
           [](VisualOptions& v) { v.modality = Modality::kVideo; },
           [](VisualOptions& v) { v.frames = 6; }, [](VisualOptions& v) { v.text_only = true; },
           [](VisualOptions& v) { v.vm_die_remap.assign(16, 0); }}) {
    TaskSpec other = die;
    change(other.compile.visual);
    keys.insert(ActionKey(other, {}, "1").Hex());
  }
  EXPECT_EQ(keys.size(), 6U);
}

TEST(OutputFolderName, IsWhatTheBoardExpects) {
  JobSpec spec = Spec(JobKind::kPipeline);
  spec.name = "m";
  spec.compile = {.dies = 4, .seq_lens = {1, 8, 96}, .max_kv = 8192};
  EXPECT_EQ(OutputFolderName(spec, "artifact", false), "m-AWQ-AOT_96_8192");
  EXPECT_EQ(OutputFolderName(spec, "artifact", true), "m-AWQ-AOT_960x540_8192_4die_image_01230123");
  spec.kind = JobKind::kCompile;
  spec.compile.dies = 2;
  spec.compile.visual.modality = Modality::kVideo;
  spec.compile.visual.vm_die_remap = {3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(OutputFolderName(spec, "artifact", true), "m-AOT_960x540_8192_2die_video_3101");
}

TEST(ActionKey, DoesNotChangeFromBuildToBuild) {
  TaskSpec spec;
  spec.kind = TaskKind::kConvert;
  EXPECT_EQ(ActionKey(spec, {}, "1.0"),
            DigestOf(R"({"kind":"convert","toolchain":"1.0","options":{"quant_type":"awq"},)"
                     R"("inputs":{}})"));
}

TEST(JobSpecJson, ComesBackAsItWent) {
  JobSpec spec = Spec(JobKind::kCompile);
  spec.labels = {{"team", "vision"}};
  spec.text = Tree('t');
  spec.compile.seq_lens = {1, 8, 96};
  spec.no_cache = true;
  const auto back = format::FromJson<JobSpec>(format::ToJson(spec), "spec");
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(*back, spec);
}

}  // namespace
}  // namespace tyllm::domain
