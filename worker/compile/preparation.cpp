// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/preparation.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "common/base/digest.h"
#include "common/base/disk_room.h"
#include "common/base/parallel.h"
#include "common/base/staging.h"
#include "common/domain/tools.h"
#include "worker/compile/directory_size.h"
#include "worker/compile/half_storage.h"
#include "worker/compile/object_builder.h"
#include "worker/compile/request_checks.h"
#include "worker/compile/tokenizer_files.h"
#include "worker/compile/weight_cache.h"
#include "worker/model/model_files.h"
#include "worker/model/output_place.h"
#include "worker/plan/checkpoint_formats.h"
#include "worker/simulator/target_cpu.h"

namespace tyllm::compile {
namespace {

Status CheckCpu(domain::CompileOptions& options) {
  TYLLM_ASSIGN(options.target_cpu, ResolveTargetCpu(options.target_cpu));
  return OkStatus();
}

/// Where the result would go.
std::vector<Status> CheckPlace(const CompileRequest& request, const Place& place) {
  if (place.result.empty()) {
    return {};
  }
  if (Status status = model::CheckOutputPlace(request.model, place.result); !status.ok()) {
    return {std::move(status)};
  }
  return {Staging::CheckPlace(place.result)};
}

/// Bytes of unfinished work, which need no room any more.
std::uint64_t UnfinishedBytes(const Path& result) {
  namespace fs = std::filesystem;
  Path partial = result;
  partial += ".partial";
  std::uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(partial, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;
    const std::uintmax_t size = it->is_regular_file(gone) ? it->file_size(gone) : 0;
    bytes += gone ? 0 : size;
  }
  return bytes;
}

/// Of the dies that are written. Packed weights of the same size in the cache may be linked.
std::uint64_t BytesToWrite(const CompileRequest& request, const DirectorySize& size,
                           const Place& place) {
  const std::set<std::uint64_t> kept = WeightCache::SizesIn(request.cache);
  std::uint64_t bytes = 0;
  for (std::size_t die = 0; die < size.common.size(); ++die) {
    const bool is_written =
        place.dies.empty() ||
        std::ranges::find(place.dies, static_cast<std::int64_t>(die)) != place.dies.end();
    bytes += is_written && !kept.contains(size.common[die]) ? size.common[die] : 0;
  }
  return place.dies.empty() ? bytes + size.total() - size.parameters() : bytes;
}

/// Too little room for the result is told before anything is read.
Status CheckRoom(const CompileRequest& request, const Preparation& preparation,
                 const Place& place) {
  if (place.files == nullptr || place.result.empty()) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const DirectorySize size,
               SizeOf(preparation, ObjectCache(*place.files, request.cache)));
  const std::uint64_t needed = BytesToWrite(request, size, place);
  const std::uint64_t there = UnfinishedBytes(place.result);
  return CheckDiskRoom(*place.files, place.result, needed - std::min(needed, there),
                       "the compiled model");
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

/// The digest of everything that the model is made of; tells how far it is in bytes.
Result<std::string> DigestOfModel(const Path& model, const std::vector<Path>& files, int jobs,
                                  domain::ProgressSink& progress) {
  const auto total = static_cast<std::int64_t>(model::BytesOfFiles(model, files));
  std::int64_t done = 0;
  progress.Report({"check", 0, total, "bytes", "digest of " + model.string()});
  ThreadPool pool(jobs);
  return artifact::DigestOfFiles(model, files, pool, [&](std::uint64_t bytes) {
    done += static_cast<std::int64_t>(bytes);
    progress.Report({"check", std::min(done, total), total, "bytes", ""});
  });
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

Result<Preparation> Preflight(const CompileRequest& request, NeedsCompiler needs,
                              const Place& place) {
  Problems problems;
  problems.Add(request.problems);
  const domain::CompileFaults faults = CheckOptions(request, problems);
  domain::CompileOptions options = request.options;
  problems.Add(CheckCpu(options));
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
    CheckWithoutModel(faults, problems);
    problems.Add(CheckPlace(request, place));
    return problems.ToStatus(request.model);
  }
  plan::WeightFormats formats = plan::FormatsOf(model->checkpoint, model->graph);
  formats.int8_head = options.head == domain::HeadNumbers::kInt8;
  formats.activation_bits = options.activations == domain::ActivationNumbers::kInt8 ? 8 : 16;
  std::optional<TowerPlan> tower = CheckAgainstModel(request, *model, formats, faults, problems);
  const plan::Split split = SplitOf(options, faults);
  problems.Add(plan::ShardProblems(model->shape(), formats.group, split));
  const std::vector<Status> of_place = CheckPlace(request, place);
  if (!problems.none()) {
    problems.Add(of_place);
    return problems.ToStatus(request.model);
  }
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
  problems.Add(of_place);
  problems.Add(CheckRoom(request, preparation, place));
  TYLLM_TRY(problems.ToStatus(request.model));
  return preparation;
}

Result<Preparation> Prepare(const CompileRequest& request, NeedsCompiler needs,
                            domain::ProgressSink& progress, const Place& place) {
  TYLLM_ASSIGN(Preparation preparation, Preflight(request, needs, place));
  if (request.started) {
    request.started(preparation);
  }
  TYLLM_ASSIGN(const std::vector<Path> files, model::FindModelFiles(request.model));
  // One thread for each of the model's files, and the numbers of the tables at the same time.
  std::optional<Result<std::string>> digest;
  Status chosen;
  ThreadPool side_by_side(request.jobs == 1 ? 1 : 2);
  side_by_side.ParallelFor(2, [&](std::int64_t i) {
    if (i == 0) {
      digest.emplace(DigestOfModel(request.model, files, request.jobs, progress));
    } else {
      chosen = ChooseStorage(Reading::kAll, request.jobs, preparation);
    }
  });
  TYLLM_ASSIGN(preparation.model_digest, *std::move(digest));
  TYLLM_TRY(std::move(chosen));
  if (!request.source_tokenizer.empty()) {
    ThreadPool pool(request.jobs);
    TYLLM_ASSIGN(const std::string tokenizer,
                 artifact::DigestOfFiles(request.source_tokenizer,
                                         TokenizerFiles(request.source_tokenizer), pool));
    preparation.model_digest = DigestOf(preparation.model_digest + tokenizer).Hex();
  }
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
