// SPDX-License-Identifier: Apache-2.0
#include "common/domain/job.h"

#include <algorithm>

#include "common/domain/validation.h"

namespace tyllm::domain {

namespace {

constexpr std::size_t kLongestName = 128;
constexpr std::size_t kLongestLabel = 256;
constexpr std::size_t kMostRequirements = 32;
constexpr std::size_t kLongestProject = 64;
constexpr std::int32_t kLargestPriority = 1000;

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// The name becomes a part of folder names on other machines.
Status CheckName(const std::string& name) {
  if (!name.empty() && name.size() <= kLongestName && name.front() != '.' &&
      std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    return OkStatus();
  }
  return InvalidArgument("name is '" + name.substr(0, kLongestName) +
                         "', expected 1 to 128 letters, digits, '.', '_' or '-', not starting "
                         "with '.'");
}

// A number of at least 0, in decimal.
bool IsNumber(const std::string& text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "device, cpus, ..., tool.NAME, label.NAME"; only those that have numbers if so asked.
std::string KnownProperties(bool numbers) {
  std::string names;
  for (const WorkerProperty& row : kWorkerProperties) {
    if (row.is_number || !numbers) {
      names += std::string(row.name) + ", ";
    }
  }
  return names + (numbers ? "label.NAME" : "tool.NAME, label.NAME");
}

bool IsNamed(const Requirement& one, std::string_view prefix) {
  return one.property.starts_with(prefix) && one.property.size() > prefix.size();
}

Status CheckProperty(const Requirement& one) {
  if (IsNamed(one, kLabelProperty) ||
      (IsNamed(one, kToolProperty) && one.rule != MatchRule::kMinimum)) {
    return OkStatus();
  }
  const auto* const row =
      std::find_if(kWorkerProperties.begin(), kWorkerProperties.end(),
                   [&](const WorkerProperty& known) { return known.name == one.property; });
  if (row == kWorkerProperties.end() && !IsNamed(one, kToolProperty)) {
    return InvalidArgument("requirements has the property '" + one.property.substr(0, 40) +
                           "', expected one of: " + KnownProperties(false));
  }
  if (one.rule == MatchRule::kMinimum && (row == kWorkerProperties.end() || !row->is_number)) {
    return InvalidArgument("requirements has a least " + one.property +
                           ", expected one of a number: " + KnownProperties(true));
  }
  return OkStatus();
}

Status CheckRequirements(const std::vector<Requirement>& requirements) {
  if (requirements.size() > kMostRequirements) {
    return InvalidArgument("requirements has " + std::to_string(requirements.size()) +
                           " entries, expected at most 32");
  }
  for (const Requirement& one : requirements) {
    if (one.property.empty() || one.property.size() > kLongestLabel ||
        one.value.size() > kLongestLabel) {
      return InvalidArgument("requirements has the property '" + one.property.substr(0, 40) +
                             "', expected properties of 1 to 256 bytes and values of at most 256");
    }
    TYLLM_TRY(CheckProperty(one));
    if (one.rule == MatchRule::kMinimum && !IsNumber(one.value)) {
      return InvalidArgument("requirements: the least " + one.property + " is '" +
                             one.value.substr(0, 40) + "', expected a whole number");
    }
  }
  return OkStatus();
}

Status CheckStartWithin(const std::optional<std::int64_t>& within_ms) {
  if (!within_ms || (*within_ms > 0 && *within_ms <= kLongestStartWithinMs)) {
    return OkStatus();
  }
  return InvalidArgument("start_within_ms is " + std::to_string(*within_ms) + ", expected 1 to " +
                         std::to_string(kLongestStartWithinMs) +
                         " milliseconds (a year); leave it out for a job that waits for as long as "
                         "it takes");
}

/// In a pipeline quantize writes AMTC, and convert turns it into what others read.
Status CheckPipelineTarget(const ConvertOptions& options) {
  if (options.quant_type != QuantizedFormat::kAmtc) {
    return OkStatus();
  }
  return InvalidArgument(
      "convert: quant_type is 'amtc', expected 'awq' or 'compressed-tensors': amtc is what a "
      "pipeline converts from");
}

/// Images and videos are what prompts are about.
Status CheckMedia(const JobSpec& spec) {
  for (const JobInput& row : kJobInputs) {
    const std::size_t count = row.trees == nullptr ? 0 : (spec.*row.trees).size();
    if (count > kMostMedia) {
      return InvalidArgument(std::string(row.name) + " has " + std::to_string(count) +
                             " entries, expected at most " + std::to_string(kMostMedia));
    }
    if (count > 0 && spec.evaluate.prompts.empty()) {
      return InvalidArgument(std::string(row.name) + " has " + std::to_string(count) +
                             " entries, expected a prompt about them: evaluate.prompts is empty");
    }
  }
  return OkStatus();
}

Status CheckEvaluation(const JobSpec& spec) {
  TYLLM_TRY(Check(spec.evaluate).Annotate("evaluate"));
  return CheckMedia(spec);
}

/// Each worker would take its own CPU for it, and dies of several workers would not fit together.
Status CheckCompilation(const JobSpec& spec) {
  TYLLM_TRY(Check(spec.compile).Annotate("compile"));
  if (spec.compile.target_cpu != "native") {
    return OkStatus();
  }
  return InvalidArgument(
      "compile: target_cpu is 'native', which is another CPU on every worker; expected the one "
      "that is to run the model: x86-64, x86-64-v2, x86-64-v3, x86-64-v4, x86-64-v4-vnni or "
      "armv8-a");
}

Status CheckOptions(const JobSpec& spec) {
  switch (spec.kind) {
    case JobKind::kQuantize:
      return Check(spec.quantize).Annotate("quantize");
    case JobKind::kConvert:
      return OkStatus();  // every combination is sound
    case JobKind::kEvaluate:
      return CheckEvaluation(spec);
    case JobKind::kCompile:
      return CheckCompilation(spec);
    case JobKind::kPipeline:
      TYLLM_TRY(Check(spec.quantize).Annotate("quantize"));
      TYLLM_TRY(CheckPipelineTarget(spec.convert));
      TYLLM_TRY(CheckEvaluation(spec));
      return CheckCompilation(spec);
  }
  return Internal("a job kind without a check");
}

TaskInput Given(std::string name, const BlobId& tree) {
  return {.name = std::move(name), .tree = tree, .from = {}};
}

TaskInput MadeBy(std::string name, std::string label) {
  return {.name = std::move(name), .tree = std::nullopt, .from = std::move(label)};
}

/// Collects the tasks of one job.
class Planner {
 public:
  explicit Planner(const JobSpec& spec) : spec_(spec), given_(GivenInputs(spec)) {}

  void Quantize() {
    PlannedTask& task = Add("quantize", TaskKind::kQuantize, Given("model", spec_.model));
    task.spec.quantize = spec_.quantize;
  }

  void Convert(TaskInput model) {
    Add("convert", TaskKind::kConvert, std::move(model)).spec.convert = spec_.convert;
  }

  void Evaluate(TaskInput model) {
    Add("evaluate", TaskKind::kEvaluate, std::move(model)).spec.evaluate = spec_.evaluate;
  }

  void Compile(const TaskInput& model) {
    std::vector<TaskInput> dies;
    // The vendor's toolchain makes all dies in one run.
    const bool apart = spec_.compile.target == CompileTarget::kSim;
    for (std::int64_t die = 0; apart && die < spec_.compile.dies; ++die) {
      const std::string number = std::to_string(die);
      PlannedTask& task = Add("compile.die" + number, TaskKind::kCompileDie, model);
      task.spec.compile = spec_.compile;
      task.spec.die = die;
      dies.push_back(MadeBy("die" + number, task.label));
    }
    PlannedTask& task = Add("assemble", TaskKind::kAssemble, model);
    task.spec.compile = spec_.compile;
    task.inputs.insert(task.inputs.end(), dies.begin(), dies.end());
  }

  void Output(const std::string& name, const std::string& label) { plan_.outputs[name] = label; }

  PlannedTask& last() { return plan_.tasks.back(); }

  JobPlan Take() { return std::move(plan_); }

 private:
  PlannedTask& Add(std::string label, TaskKind kind, TaskInput model) {
    PlannedTask& task = plan_.tasks.emplace_back();
    task.label = std::move(label);
    task.spec.kind = kind;
    task.spec.name = spec_.name;
    task.inputs.push_back(std::move(model));
    for (const GivenInput& input : given_) {
      if (std::ranges::count(input.row->readers, kind) > 0) {
        task.inputs.push_back(Given(input.name, input.tree));
      }
    }
    return task;
  }

  const JobSpec& spec_;
  const std::vector<GivenInput> given_;
  JobPlan plan_;
};

void PlanPipeline(Planner& planner) {
  planner.Quantize();
  planner.last().spec.quantize.format = QuantizedFormat::kAmtc;  // what convert takes
  planner.Convert(MadeBy("model", "quantize"));
  const TaskInput converted = MadeBy("model", "convert");
  planner.Evaluate(converted);
  planner.Compile(converted);
  planner.Output("model", "convert");
  planner.Output("evaluation", "evaluate");
  planner.Output("artifact", "assemble");
}

}  // namespace

Status CheckProjectName(std::string_view name) {
  const auto known = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  const bool starts_well =
      !name.empty() && name.front() != '-' && name.front() != '_' && name.front() != '.';
  if (starts_well && name.size() <= kLongestProject &&
      std::all_of(name.begin(), name.end(), known)) {
    return OkStatus();
  }
  return InvalidArgument("project is '" + std::string(name.substr(0, kLongestProject)) +
                         "', expected 1 to 64 of a-z, 0-9, '-', '_' and '.', starting with a "
                         "letter or digit");
}

Status CheckLabels(const std::map<std::string, std::string>& labels) {
  if (labels.size() > kMostLabels) {
    return InvalidArgument("labels has " + std::to_string(labels.size()) +
                           " entries, expected at most 64");
  }
  for (const auto& [key, value] : labels) {
    if (key.empty() || key.size() > kLongestLabel || value.size() > kLongestLabel) {
      return InvalidArgument("labels has '" + key.substr(0, 40) + "' of " +
                             std::to_string(key.size()) + " bytes with a value of " +
                             std::to_string(value.size()) +
                             ", expected keys of 1 to 256 bytes and values of at most 256");
    }
  }
  return OkStatus();
}

Status CheckPriority(std::int32_t priority) {
  if (priority >= -kLargestPriority && priority <= kLargestPriority) {
    return OkStatus();
  }
  return InvalidArgument("priority is " + std::to_string(priority) + ", expected -1000 to 1000");
}

Status CheckWithoutTrees(const JobSpec& spec) {
  TYLLM_TRY(CheckName(spec.name));
  TYLLM_TRY(CheckLabels(spec.labels));
  TYLLM_TRY(CheckProjectName(spec.project));
  TYLLM_TRY(CheckPriority(spec.priority));
  TYLLM_TRY(CheckRequirements(spec.requirements));
  TYLLM_TRY(CheckStartWithin(spec.start_within_ms));
  return CheckOptions(spec);
}

Status Check(const JobSpec& spec) {
  TYLLM_TRY(CheckWithoutTrees(spec));
  if (spec.model.size == 0) {
    return InvalidArgument("model is absent, expected the id of an uploaded tree");
  }
  return OkStatus();
}

std::vector<GivenInput> GivenInputs(const JobSpec& spec) {
  std::vector<GivenInput> given;
  for (const JobInput& row : kJobInputs) {
    if (row.tree != nullptr && spec.*row.tree) {
      given.push_back({&row, std::string(row.name), *(spec.*row.tree)});
    }
    for (std::size_t i = 0; row.trees != nullptr && i < (spec.*row.trees).size(); ++i) {
      given.push_back({&row, std::string(row.name) + std::to_string(i), (spec.*row.trees)[i]});
    }
  }
  return given;
}

JobPlan PlanJob(const JobSpec& spec) {
  if (spec.kind == JobKind::kPipeline && !spec.reference) {
    JobSpec compared = spec;
    compared.reference = spec.model;
    return PlanJob(compared);
  }
  Planner planner(spec);
  const TaskInput model = Given("model", spec.model);
  switch (spec.kind) {
    case JobKind::kQuantize:
      planner.Quantize();
      planner.Output("model", "quantize");
      break;
    case JobKind::kConvert:
      planner.Convert(model);
      planner.Output("model", "convert");
      break;
    case JobKind::kEvaluate:
      planner.Evaluate(model);
      planner.Output("evaluation", "evaluate");
      break;
    case JobKind::kCompile:
      planner.Compile(model);
      planner.Output("artifact", "assemble");
      break;
    case JobKind::kPipeline:
      PlanPipeline(planner);
      break;
  }
  return planner.Take();
}

}  // namespace tyllm::domain
