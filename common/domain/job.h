// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/base/digest.h"
#include "common/domain/matching.h"
#include "common/domain/task_options.h"
#include "common/format/json.h"

namespace tyllm::domain {

/// What a person submits.
enum class JobKind : std::uint8_t { kQuantize, kConvert, kEvaluate, kCompile, kPipeline };

inline constexpr EnumTable<JobKind, 5> kJobKindNames("job kind",
                                                     {{{JobKind::kQuantize, "quantize"},
                                                       {JobKind::kConvert, "convert"},
                                                       {JobKind::kEvaluate, "evaluate"},
                                                       {JobKind::kCompile, "compile"},
                                                       {JobKind::kPipeline, "pipeline"}}});

constexpr const auto& NamesOf(JobKind) {
  return kJobKindNames;
}

/// Somebody waits for an interactive job: it goes first, within the limits of its project.
enum class JobClass : std::uint8_t { kBatch, kInteractive };

inline constexpr EnumTable<JobClass, 2> kJobClassNames("job class",
                                                       {{{JobClass::kBatch, "batch"},
                                                         {JobClass::kInteractive, "interactive"}}});

constexpr const auto& NamesOf(JobClass) {
  return kJobClassNames;
}

/// The project of jobs that name none.
inline constexpr std::string_view kDefaultProject = "default";

/// A job's request. Trees are names of uploaded folders (common/format/tree.h). A kind reads only
/// the option groups of its tasks; a pipeline reads all.
struct JobSpec {
  JobKind kind = JobKind::kPipeline;
  std::string name;  ///< the model's name; goes into output names: letters, digits, '.', '_', '-'
  std::map<std::string, std::string> labels;
  BlobId model;                       ///< tree
  std::optional<BlobId> calibration;  ///< tree of texts; absent: a set of the worker's
  std::optional<BlobId> text;         ///< tree of one text file to evaluate on; absent: built-in
  std::optional<BlobId> reference;    ///< tree of the float model that an evaluation compares with
  std::optional<BlobId> questions;    ///< tree of multiple-choice questions; absent: none are asked
  std::optional<BlobId> visual_questions;  ///< tree of such questions about images
  std::vector<BlobId> images;              ///< trees of one file each: what the prompts are about
  std::vector<BlobId> videos;              ///< trees of one file, or of one image a frame
  std::optional<BlobId>
      tokenizer;  ///< tree whose tokenizer files a compiled model gets; absent: its own
  QuantizeOptions quantize;
  ConvertOptions convert;
  EvaluateOptions evaluate;
  CompileOptions compile;
  bool no_cache = false;  ///< run even if the same task has a result
  std::string project = std::string(kDefaultProject);
  std::int32_t priority = 0;  ///< within the project, larger first; -1000 to 1000
  JobClass job_class = JobClass::kBatch;
  std::vector<Requirement> requirements;  ///< of the workers of all its tasks
  /// It is given up when none of its tasks has begun so long after it was queued; none: never.
  std::optional<std::int64_t> start_within_ms = {};

  bool operator==(const JobSpec&) const = default;
};

/// 1 to 64 of a-z, 0-9, '-', '_' and '.', starting with a letter or digit.
Status CheckProjectName(std::string_view name);
/// At most 64, keys of 1 to 256 bytes, values of at most 256.
Status CheckLabels(const std::map<std::string, std::string>& labels);
/// -1000 to 1000.
Status CheckPriority(std::int32_t priority);

/// The longest that a job may be given to start: a year.
inline constexpr std::int64_t kLongestStartWithinMs = 365LL * 86'400'000;

/// First problem of the request, naming the field.
Status Check(const JobSpec& spec);
/// The same before anything is uploaded: all but the trees.
Status CheckWithoutTrees(const JobSpec& spec);

/// What a worker can be asked to do. A compilation is one task a die and one that assembles.
enum class TaskKind : std::uint8_t { kQuantize, kConvert, kEvaluate, kCompileDie, kAssemble };

inline constexpr EnumTable<TaskKind, 5> kTaskKindNames("task kind",
                                                       {{{TaskKind::kQuantize, "quantize"},
                                                         {TaskKind::kConvert, "convert"},
                                                         {TaskKind::kEvaluate, "evaluate"},
                                                         {TaskKind::kCompileDie, "compile_die"},
                                                         {TaskKind::kAssemble, "assemble"}}});

constexpr const auto& NamesOf(TaskKind) {
  return kTaskKindNames;
}

/// A tree that people may give a job besides the model, or a list of trees: a row of kJobInputs.
struct JobInput {
  std::string_view name;  ///< of the field; of the tasks' input, for a list with its number behind
  std::array<TaskKind, 2> readers;  ///< kinds of tasks that get it
  std::optional<BlobId> JobSpec::* tree = nullptr;
  std::vector<BlobId> JobSpec::* trees = nullptr;
  bool one_file = false;  ///< a tree of exactly one file
};

inline constexpr std::array<JobInput, 8> kJobInputs = {{
    {"calibration", {TaskKind::kQuantize, TaskKind::kQuantize}, &JobSpec::calibration},
    {"reference", {TaskKind::kEvaluate, TaskKind::kEvaluate}, &JobSpec::reference},
    {"text", {TaskKind::kEvaluate, TaskKind::kEvaluate}, &JobSpec::text, nullptr, true},
    {"questions", {TaskKind::kEvaluate, TaskKind::kEvaluate}, &JobSpec::questions},
    {"visual_questions", {TaskKind::kEvaluate, TaskKind::kEvaluate}, &JobSpec::visual_questions},
    {"images", {TaskKind::kEvaluate, TaskKind::kEvaluate}, nullptr, &JobSpec::images, true},
    {"videos", {TaskKind::kEvaluate, TaskKind::kEvaluate}, nullptr, &JobSpec::videos},
    {"tokenizer", {TaskKind::kCompileDie, TaskKind::kAssemble}, &JobSpec::tokenizer},
}};

/// Images, or videos, of a job at most.
inline constexpr std::size_t kMostMedia = 64;

/// A tree that was given.
struct GivenInput {
  const JobInput* row = nullptr;
  std::string name;  ///< of the tasks' input: "calibration", "images0", "images1", ...
  BlobId tree;
};

/// Those that `spec` has, in the order of the table.
std::vector<GivenInput> GivenInputs(const JobSpec& spec);

/// Options of one task; which group is read follows from the kind.
struct TaskSpec {
  TaskKind kind = TaskKind::kQuantize;
  std::string name;  ///< the model's name, from the job
  QuantizeOptions quantize;
  ConvertOptions convert;
  EvaluateOptions evaluate;
  CompileOptions compile;
  std::int64_t die = 0;  ///< kCompileDie
  /// Of kCompileDie and kAssemble: what is to make the programs, as a worker's tool says it is
  /// (common/domain/tools.h); empty while none is chosen. The same for all such tasks of a job.
  std::string compiler = {};

  bool operator==(const TaskSpec&) const = default;
};

/// An input of a task: a tree that is there already, or the output of another task of the job.
struct TaskInput {
  std::string name;  ///< "model", "calibration", "text", "die0", ...
  std::optional<BlobId> tree;
  std::string from;  ///< label of the task that makes it; empty when `tree` is set

  bool operator==(const TaskInput&) const = default;
};

struct PlannedTask {
  std::string label;  ///< unique in the job: "quantize", "compile.die2", "assemble"
  TaskSpec spec;
  std::vector<TaskInput> inputs;
  /// Besides what its options need: "video", where an input is a video file.
  std::vector<std::string> tools = {};

  bool operator==(const PlannedTask&) const = default;
};

/// The tasks of a job in an order in which they can run.
struct JobPlan {
  std::vector<PlannedTask> tasks;
  /// Labels of the tasks whose outputs are the job's result: output name -> task label
  /// ("model" -> "convert", "artifact" -> "assemble", "evaluation" -> "evaluate").
  std::map<std::string, std::string> outputs;

  bool operator==(const JobPlan&) const = default;
};

/// Pure: the same spec gives the same plan. `spec` has passed Check.
JobPlan PlanJob(const JobSpec& spec);

/// Digest of what a task computes: kind, the options that its kind reads, input trees by name, the
/// toolchain's version and, of a compilation, the compiler. Equal keys have equal outputs, whatever
/// job they belong to.
Sha256 ActionKey(const TaskSpec& spec, const std::map<std::string, BlobId>& inputs,
                 std::string_view toolchain_version);

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::JobSpec> {
  using S = tyllm::domain::JobSpec;
  static constexpr auto kTable = std::tuple{
      Member{"kind", &S::kind, true},
      Member{"name", &S::name, true},
      Member{"labels", &S::labels},
      Member{"model", &S::model, true},
      Member{"calibration", &S::calibration},
      Member{"text", &S::text},
      Member{"reference", &S::reference},
      Member{"questions", &S::questions},
      Member{"visual_questions", &S::visual_questions},
      Member{"images", &S::images},
      Member{"videos", &S::videos},
      Member{"tokenizer", &S::tokenizer},
      Member{"quantize", &S::quantize},
      Member{"convert", &S::convert},
      Member{"evaluate", &S::evaluate},
      Member{"compile", &S::compile},
      Member{"no_cache", &S::no_cache},
      Member{"project", &S::project},
      Member{"priority", &S::priority},
      Member{"job_class", &S::job_class},
      Member{"requirements", &S::requirements},
      Member{"start_within_ms", &S::start_within_ms},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::TaskSpec> {
  using S = tyllm::domain::TaskSpec;
  static constexpr auto kTable = std::tuple{
      Member{"kind", &S::kind, true},   Member{"name", &S::name},
      Member{"quantize", &S::quantize}, Member{"convert", &S::convert},
      Member{"evaluate", &S::evaluate}, Member{"compile", &S::compile},
      Member{"die", &S::die},           Member{"compiler", &S::compiler},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::TaskInput> {
  using I = tyllm::domain::TaskInput;
  static constexpr auto kTable = std::tuple{Member{"name", &I::name, true},
                                            Member{"tree", &I::tree}, Member{"from", &I::from}};
};
