// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/preparation.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "common/base/digest.h"
#include "worker/artifact/layout.h"
#include "worker/compile/object_builder.h"

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

plan::WeightFormats FormatsOf(const forward::Model& model) {
  plan::WeightFormats formats{model.checkpoint.group_size(), {}};
  const auto look = [&](const graph::Block& block) {
    for (const graph::Node& node : block.nodes) {
      if (node.op == graph::Op::kLinear && !model.checkpoint.IsQuantized(node.weight)) {
        formats.float_linears.insert(node.weight);
      }
    }
  };
  std::for_each(model.graph.layers.begin(), model.graph.layers.end(), look);
  look(model.graph.head);
  return formats;
}

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

constexpr int kMostJobs = 1024;

/// What can be checked without the model.
domain::CompileOptions Normalised(const CompileRequest& request, Problems& problems) {
  domain::CompileOptions options = request.options;
  problems.Add(domain::Check(options));
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
  std::optional<SystemCompiler> compiler = needs == NeedsCompiler::kYes
                                               ? problems.Take(FindCompiler(request.compiler))
                                               : SystemCompiler{};
  std::optional<forward::Model> model = problems.Take(forward::OpenModel(request.model));
  if (!model) {
    return problems.ToStatus(request.model);
  }
  problems.Add(CheckTokenizer(request));
  problems.Add(CheckPositions(options, model->shape()));
  plan::WeightFormats formats = FormatsOf(*model);
  std::optional<plan::ShardPlan> shards = problems.Take(
      plan::ShardModel(model->shape(), formats.group, std::max<std::int64_t>(1, options.dies)));
  TYLLM_TRY(problems.ToStatus(request.model));
  artifact::Toolchain toolchain = ToolchainOf(*compiler, options.target_cpu);
  return Preparation{*std::move(model),
                     std::move(formats),
                     *std::move(shards),
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
