// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/preparation.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "common/base/digest.h"
#include "common/domain/tools.h"
#include "worker/artifact/layout.h"
#include "worker/compile/golden.h"
#include "worker/compile/half_storage.h"
#include "worker/compile/object_builder.h"
#include "worker/compile/own_names.h"
#include "worker/compile/tokenizer_files.h"
#include "worker/compile/visual/golden_picture.h"
#include "worker/die/linear8.h"
#include "worker/model/model_files.h"
#include "worker/plan/checkpoint_formats.h"
#include "worker/simulator/target_cpu.h"

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
    return {CodeOfAll(), text};
  }

 private:
  /// That of the first that no other machine would be spared.
  StatusCode CodeOfAll() const {
    const auto stays = std::ranges::find_if(
        all_, [](const Status& status) { return status.code() != StatusCode::kUnavailable; });
    return (stays == all_.end() ? all_.front() : *stays).code();
  }

  std::vector<Status> all_;
};

Status HasTokenizer(const CompileRequest& request) {
  const Path path = (request.source_tokenizer.empty() ? request.model : request.source_tokenizer) /
                    artifact::kTokenizerFile;
  std::error_code error;
  if (request.allow_missing_tokenizer || std::filesystem::is_regular_file(path, error)) {
    return OkStatus();
  }
  return NotFound(path.string() +
                  " is missing and belongs into the output; copy it from the original model");
}

/// That what goes into the output can be read and is of this model, and what the goldens are made
/// with, too.
Status CheckTokenizer(const CompileRequest& request, std::int64_t vocabulary) {
  TYLLM_TRY(HasTokenizer(request));
  for (const Path& folder : {request.model, request.source_tokenizer}) {
    if (folder.empty()) {
      continue;
    }
    TYLLM_ASSIGN(const std::optional<model::Tokenizer> tokenizer, LoadTokenizer(folder));
    if (tokenizer) {
      TYLLM_TRY(EncodeFor(*tokenizer, kGoldenText, vocabulary, folder).status());
      TYLLM_TRY(EncodeFor(*tokenizer, kGoldenQuestion, vocabulary, folder).status());
    }
  }
  return OkStatus();
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

/// What was asked for goes together with programs of that compiler only.
Status CheckCompiler(const CompileRequest& request, const domain::CompileOptions& options,
                     const SystemCompiler& compiler) {
  if (request.compiler_id.empty() || compiler.id == request.compiler_id) {
    return OkStatus();
  }
  return Unavailable("the programs are to be made with '" + request.compiler_id +
                     "', and this machine's compiler is '" + compiler.id +
                     "'; install the other one, or have the job's programs all made anew")
      .With(domain::kMissingToolFact, std::string(domain::CompilerTool(options)));
}

/// Whether the model's tower is compiled too.
bool Sees(const forward::Model& model, const domain::CompileOptions& options) {
  return !options.visual.text_only && model::HasVision(model.checkpoint.config()) &&
         !model.shape().names.visual.empty() && options.target == domain::CompileTarget::kSim;
}

/// The tower cut over the dies; nothing where there is none, or something is wrong.
std::optional<TowerPlan> TowerOf(const CompileRequest& request, const forward::Model& model,
                                 const domain::CompileOptions& options, Problems& problems) {
  if (!Sees(model, options) || !domain::Check(options).ok()) {
    return std::nullopt;
  }
  if (request.compiler == kNoCompiler) {
    problems.Add(InvalidArgument(
        "a visual tower is not run without a compiler; leave out --compiler none, or compile the "
        "language model alone with --text-only"));
  }
  std::optional<TowerPlan> tower = problems.Take(PlanTower(model, options.visual, options.dies));
  if (tower && tower->config.tokens + kQuestionTokens > options.max_kv) {
    problems.Add(InvalidArgument("an image becomes " + std::to_string(tower->config.tokens) +
                                 " tokens, and --max-kv is " + std::to_string(options.max_kv) +
                                 "; expected " + std::to_string(kQuestionTokens) +
                                 " more than the image has"));
  }
  return tower;
}

/// Matrices that take 12 bits a number, which is in the numbers.
Status ChooseStorage(Reading reading, int jobs, Preparation& preparation) {
  preparation.formats.in_12_bits.clear();
  std::vector<plan::Schedule> dies;
  for (std::int64_t die = 0; die < preparation.options.dies; ++die) {
    TYLLM_ASSIGN(dies.emplace_back(),
                 plan::BuildSchedule(preparation.model.graph, preparation.formats,
                                     preparation.shards, die, preparation.programs.front(),
                                     preparation.options.max_kv, preparation.inputs()));
  }
  ThreadPool pool(jobs);
  TYLLM_ASSIGN(preparation.formats.in_12_bits,
               MatricesIn12Bits(preparation.model.checkpoint, dies, reading, pool));
  return OkStatus();
}

}  // namespace

Result<Preparation> Preflight(const CompileRequest& request, NeedsCompiler needs) {
  Problems problems;
  domain::CompileOptions options = Normalised(request, problems);
  std::optional<SystemCompiler> compiler =
      needs == NeedsCompiler::kYes
          ? problems.Take(FindCompiler(request.compiler, options.target_cpu))
          : SystemCompiler{};
  if (compiler && needs == NeedsCompiler::kYes) {
    problems.Add(CheckCompiler(request, options, *compiler));
  }
  if (compiler && options.keep_source && compiler->program != kNoCompiler) {
    compiler->arguments.emplace_back(kLineTables);
  }
  std::optional<forward::Model> model = problems.Take(forward::OpenModel(request.model));
  if (!model) {
    return problems.ToStatus(request.model);
  }
  problems.Add(CheckPassengers(model->checkpoint.PassengerFiles(), request.model));
  problems.Add(CheckTokenizer(request, model->shape().vocabulary));
  problems.Add(CheckPositions(options, model->shape()));
  problems.Add(CheckHead(options, model->shape()));
  plan::WeightFormats formats = plan::FormatsOf(model->checkpoint, model->graph);
  formats.int8_head = options.head == domain::HeadNumbers::kInt8;
  formats.activation_bits = options.activations == domain::ActivationNumbers::kInt8 ? 8 : 16;
  const plan::Split split = SplitOf(options);
  for (const Status& problem : plan::ShardProblems(model->shape(), formats.group, split)) {
    problems.Add(problem);
  }
  std::optional<TowerPlan> tower = TowerOf(request, *model, options, problems);
  TYLLM_TRY(problems.ToStatus(request.model));
  options.embedding_as_input = options.embedding_as_input || tower.has_value();
  TYLLM_ASSIGN(plan::ShardPlan shards, plan::ShardModel(model->shape(), formats.group, split));
  artifact::Toolchain toolchain = ToolchainOf(*compiler, options.target_cpu);
  Preparation preparation{*std::move(model),
                          std::move(formats),
                          std::move(shards),
                          plan::ProgramsOf(options.seq_lens, tower.has_value()),
                          options,
                          *std::move(compiler),
                          std::move(toolchain),
                          "",
                          request.source_tokenizer,
                          std::move(tower)};
  TYLLM_TRY(ChooseStorage(Reading::kSample, 1, preparation));
  return preparation;
}

Result<Preparation> Prepare(const CompileRequest& request, NeedsCompiler needs,
                            domain::ProgressSink& progress) {
  TYLLM_ASSIGN(Preparation preparation, Preflight(request, needs));
  progress.Report({"check", 0, 1, "models", "digest of " + request.model.string()});
  TYLLM_ASSIGN(const std::vector<Path> files, model::FindModelFiles(request.model));
  TYLLM_ASSIGN(preparation.model_digest, artifact::DigestOfFiles(request.model, files));
  if (!request.source_tokenizer.empty()) {
    TYLLM_ASSIGN(const std::string tokenizer,
                 artifact::DigestOfFiles(request.source_tokenizer,
                                         TokenizerFiles(request.source_tokenizer)));
    preparation.model_digest = DigestOf(preparation.model_digest + tokenizer).Hex();
  }
  TYLLM_TRY(ChooseStorage(Reading::kAll, request.jobs, preparation));
  progress.Report({"check", 1, 1, "models", ""});
  return preparation;
}

Result<std::vector<PlannedProgram>> Preparation::PlanFor(std::int64_t die,
                                                         std::int64_t max_kv) const {
  std::vector<PlannedProgram> planned;
  for (const plan::ProgramId& program : programs) {
    TYLLM_ASSIGN(plan::Schedule schedule,
                 plan::BuildSchedule(model.graph, formats, shards, die, program, max_kv, inputs()));
    TYLLM_ASSIGN(plan::MemoryPlan memory, plan::PlanMemory(schedule));
    GeneratedProgram generated = Generate(schedule, memory, options.target_cpu);
    planned.push_back({std::move(schedule), std::move(memory), std::move(generated)});
  }
  return planned;
}

simulator::Engine Preparation::ProofEngine() const {
  const bool runs =
      compiler.program != kNoCompiler && simulator::CheckTargetCpu(options.target_cpu).ok();
  return runs ? simulator::Engine::kCompiled : simulator::Engine::kInterpreter;
}

plan::ProgramInputs Preparation::inputs() const {
  plan::ProgramInputs taken(options.embedding_as_input);
  if (tower) {
    taken.rotations = true;
    taken.deepstack = std::ssize(tower->tower.shape.deepstack);
  }
  return taken;
}

std::string Preparation::Key() const {
  format::Json json = format::Json::object();
  json["model"] = model_digest;
  json["options"] = format::ToJson(options);
  json["toolchain"] = format::ToJson(toolchain);
  return DigestOf(format::CompactJson(json)).Hex();
}

}  // namespace tyllm::compile
