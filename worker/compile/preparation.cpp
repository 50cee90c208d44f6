// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/preparation.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "common/base/digest.h"
#include "worker/artifact/layout.h"
#include "worker/compile/object_builder.h"
#include "worker/die/linear8.h"
#include "worker/plan/checkpoint_formats.h"

namespace tyllm::compile {
namespace {

/// Collects what is wrong, so that the user mends it all at once.
class Problems {
 public:
  /// Whether `status` is fine.
  bool Add(const Status& status) {
    if (!status.ok()) {
      all_.push_back(status);
    }
    return status.ok();
  }

  /// The value, or nothing and a problem more.
  template <typename T>
  std::optional<T> Take(Result<T> result) {
    return Add(result.status()) ? std::optional<T>(*std::move(result)) : std::nullopt;
  }

  Status ToStatus(const Path& model) const {
    if (all_.empty()) {
      return OkStatus();
    }
    if (all_.size() == 1) {
      return all_.front();
    }
    std::string text =
        "cannot compile " + model.string() + ", " + std::to_string(all_.size()) + " problems:";
    for (const Status& problem : all_) {
      text += "\n- " + problem.message();
    }
    return {all_.front().code(), text};
  }

 private:
  std::vector<Status> all_;
};

Status CheckTokenizer(const CompileRequest& request) {
  const Path path = request.model / artifact::kTokenizerFile;
  std::error_code error;
  if (request.allow_missing_tokenizer || std::filesystem::is_regular_file(path, error)) {
    return OkStatus();
  }
  return NotFound(path.string() +
                  " is missing and belongs into the output; copy it from the original model");
}

Status CheckCpu(domain::CompileOptions& options) {
  TYLLM_ASSIGN(options.target_cpu, ResolveTargetCpu(options.target_cpu));
  return OkStatus();
}

/// A cache of more tokens than the model can have would be filled with nonsense.
Status CheckPositions(const domain::CompileOptions& options, const model::ModelShape& shape) {
  if (options.max_kv <= shape.max_positions) {
    return OkStatus();
  }
  return InvalidArgument("--max-kv is " + std::to_string(options.max_kv) + ", but the model has " +
                         std::to_string(shape.max_positions) +
                         " positions (max_position_embeddings or sliding_window of config.json); "
                         "expected at most that");
}

/// A split that is wrong by itself was told of already: the model is then looked at without it.
plan::Split SplitOf(const domain::CompileOptions& options) {
  return domain::Check(options).ok()
             ? plan::Split{options.dies, options.attention_dies, options.reduce_group}
             : plan::Split{};
}

/// The kernels take groups of 32 columns and more.
Status CheckHead(const domain::CompileOptions& options, const model::ModelShape& shape) {
  if (options.head != domain::HeadNumbers::kInt8 || die::Linear8Group(shape.width) > 0) {
    return OkStatus();
  }
  return InvalidArgument("--head int8 needs a width that is a multiple of 32, found " +
                         std::to_string(shape.width));
}

constexpr int kMostJobs = 1024;

/// What can be checked without the model.
domain::CompileOptions Normalised(const CompileRequest& request, Problems& problems) {
  domain::CompileOptions options = request.options;
  for (const Status& problem : domain::Problems(options)) {
    problems.Add(problem);
  }
  if (request.jobs < 0 || request.jobs > kMostJobs) {
    problems.Add(InvalidArgument("jobs is " + std::to_string(request.jobs) + ", expected 0 to " +
                                 std::to_string(kMostJobs)));
  }
  problems.Add(CheckCpu(options));
  return options;
}

}  // namespace

Result<Preparation> Preflight(const CompileRequest& request, NeedsCompiler needs) {
  Problems problems;
  const domain::CompileOptions options = Normalised(request, problems);
  std::optional<SystemCompiler> compiler =
      needs == NeedsCompiler::kYes
          ? problems.Take(FindCompiler(request.compiler, options.target_cpu))
          : SystemCompiler{};
  std::optional<forward::Model> model = problems.Take(forward::OpenModel(request.model));
  if (!model) {
    return problems.ToStatus(request.model);
  }
  problems.Add(CheckTokenizer(request));
  problems.Add(CheckPositions(options, model->shape()));
  problems.Add(CheckHead(options, model->shape()));
  plan::WeightFormats formats = plan::FormatsOf(model->checkpoint, model->graph);
  formats.int8_head = options.head == domain::HeadNumbers::kInt8;
  formats.activation_bits = options.activations == domain::ActivationNumbers::kInt8 ? 8 : 16;
  const plan::Split split = SplitOf(options);
  for (const Status& problem : plan::ShardProblems(model->shape(), formats.group, split)) {
    problems.Add(problem);
  }
  TYLLM_TRY(problems.ToStatus(request.model));
  TYLLM_ASSIGN(plan::ShardPlan shards, plan::ShardModel(model->shape(), formats.group, split));
  artifact::Toolchain toolchain = ToolchainOf(*compiler, options.target_cpu);
  return Preparation{*std::move(model),
                     std::move(formats),
                     std::move(shards),
                     plan::ProgramsOf(options.seq_lens),
                     options,
                     *std::move(compiler),
                     std::move(toolchain),
                     ""};
}

Result<Preparation> Prepare(const CompileRequest& request, NeedsCompiler needs,
                            domain::ProgressSink& progress) {
  TYLLM_ASSIGN(Preparation preparation, Preflight(request, needs));
  progress.Report({"check", 0, 1, "models", "digest of " + request.model.string()});
  TYLLM_ASSIGN(preparation.model_digest, artifact::DigestOfTree(request.model));
  progress.Report({"check", 1, 1, "models", ""});
  return preparation;
}

Result<std::vector<PlannedProgram>> Preparation::PlanFor(std::int64_t die,
                                                         std::int64_t max_kv) const {
  std::vector<PlannedProgram> planned;
  for (const plan::ProgramId& program : programs) {
    TYLLM_ASSIGN(plan::Schedule schedule,
                 plan::BuildSchedule(model.graph, formats, shards, die, program, max_kv,
                                     options.embedding_as_input));
    TYLLM_ASSIGN(plan::MemoryPlan memory, plan::PlanMemory(schedule));
    GeneratedProgram generated = Generate(schedule, memory, options.target_cpu);
    planned.push_back({std::move(schedule), std::move(memory), std::move(generated)});
  }
  return planned;
}

std::string Preparation::Key() const {
  format::Json json = format::Json::object();
  json["model"] = model_digest;
  json["options"] = format::ToJson(options);
  json["toolchain"] = format::ToJson(toolchain);
  return DigestOf(format::CompactJson(json)).Hex();
}

}  // namespace tyllm::compile
