// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/loaded_artifact.h"

#include <cstring>
#include <string>

#include "worker/artifact/layout.h"
#include "worker/plan/memory_plan.h"
#include "worker/simulator/target_cpu.h"

namespace tyllm::simulator {

namespace {

constexpr std::string_view kBindingsName = "bindings";
/// The compiler of a model that was made where there is none.
constexpr std::string_view kNotCompiled = "none";

/// A number that a program says of itself and what it has to be.
struct Claim {
  std::string_view name;
  std::uint64_t found;
  std::uint64_t expected;
};

Result<std::vector<std::uint64_t>> ReadBindings(const artifact::ParamsFile& file) {
  TYLLM_ASSIGN(const artifact::Param param, file.Find(kBindingsName));
  if (param.element != artifact::Element::kUint64) {
    return DataLoss(file.path().string() + ": tensor bindings is of " +
                    std::string(artifact::NamesOf(param.element).Name(param.element)) +
                    ", expected uint64; compile the model again");
  }
  std::vector<std::uint64_t> bindings(param.bytes.size() / sizeof(std::uint64_t));
  std::memcpy(bindings.data(), param.bytes.data(), bindings.size() * sizeof(std::uint64_t));
  return bindings;
}

}  // namespace

bool HasPrograms(const artifact::Artifact& artifact) {
  return artifact.manifest.toolchain.compiler != kNotCompiled;
}

Result<LoadedArtifact> LoadedArtifact::Load(const Path& directory, Engine engine,
                                            Residency residency) {
  TYLLM_ASSIGN(artifact::Artifact artifact, artifact::OpenArtifact(directory));
  const bool has_programs = HasPrograms(artifact);
  LoadedArtifact loaded(std::move(artifact), has_programs ? engine : Engine::kInterpreter);
  if (loaded.engine_ == Engine::kCompiled) {
    TYLLM_TRY(CheckTargetCpu(loaded.artifact_.manifest.toolchain.target_cpu)
                  .Annotate(loaded.artifact_.directory.string()));
  }
  TYLLM_TRY(loaded.LoadEmbedding());
  TYLLM_TRY(loaded.LoadVision());
  const graph::Graph graph = graph::BuildGraph(loaded.artifact_.shape);
  for (const plan::ProgramId& id :
       plan::ProgramsOf(loaded.artifact_.buffers.seq_lens, loaded.artifact_.buffers.visual)) {
    TYLLM_TRY(loaded.LoadProgram(graph, id));
  }
  if (residency == Residency::kCopied && loaded.engine_ == Engine::kCompiled) {
    TYLLM_TRY(loaded.MakeResident());
  }
  return loaded;
}

Status LoadedArtifact::MakeResident() {
  std::vector<std::span<const std::byte>> files;
  for (const ProgramOnDie& on_die : programs_.front().dies) {
    files.push_back(on_die.common->bytes());
  }
  TYLLM_ASSIGN(resident_, ResidentParameters::Copy(files));
  for (LoadedProgram& program : programs_) {
    for (ProgramOnDie& on_die : program.dies) {
      on_die.weights_at = resident_.At(on_die.common->bytes().data());
    }
  }
  return OkStatus();
}

Status LoadedArtifact::LoadEmbedding() {
  if (!artifact_.buffers.embedding_as_input) {
    return OkStatus();
  }
  TYLLM_ASSIGN(artifact::EmbeddingTable table, artifact::EmbeddingTable::Open(artifact_.directory));
  const model::ModelShape& shape = artifact_.shape;
  if (table.rows() != shape.vocabulary || table.columns() != shape.width) {
    return DataLoss(table.path().string() + " is [" + std::to_string(table.rows()) + ", " +
                    std::to_string(table.columns()) + "], expected [" +
                    std::to_string(shape.vocabulary) + ", " + std::to_string(shape.width) +
                    "] as config.json says; compile the model again");
  }
  embedding_ = std::move(table);
  return OkStatus();
}

Status LoadedArtifact::LoadVision() {
  if (!artifact_.buffers.visual) {
    return OkStatus();
  }
  const Path config = artifact_.directory / artifact::kConfigFile;
  TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(config));
  TYLLM_ASSIGN(vision_, model::ReadVision(json, config.string()));
  if (2 * std::ssize(vision_->rope_axes) == artifact_.shape.head_size) {
    return OkStatus();
  }
  return DataLoss(config.string() + ": mrope_section has " +
                  std::to_string(vision_->rope_axes.size()) + " pairs, expected half of " +
                  std::to_string(artifact_.shape.head_size));
}

void LoadedArtifact::Forget(std::size_t segment, std::size_t die) const {
  const ProgramOnDie& on_die = programs_.front().dies[die];
  const plan::SegmentRun run = on_die.schedule->Runs()[segment];
  for (const plan::Step& step : run.plan->steps) {
    for (const plan::WeightId id : step.weights) {
      if (on_die.weights->WeightOf(id, run.layer).kind != plan::WeightKind::kFrequencies) {
        on_die.common->Forget(on_die.weights->Packed(id, run.layer));
      }
    }
  }
}

Status LoadedArtifact::LoadProgram(const graph::Graph& graph, const plan::ProgramId& id) {
  LoadedProgram program{id, {}};
  for (std::int64_t die = 0; die < dies(); ++die) {
    TYLLM_ASSIGN(ProgramOnDie on_die, LoadOnDie(graph, id, die));
    program.dies.push_back(std::move(on_die));
  }
  programs_.push_back(std::move(program));
  return OkStatus();
}

Result<ProgramOnDie> LoadedArtifact::LoadOnDie(const graph::Graph& graph, const plan::ProgramId& id,
                                               std::int64_t die) {
  const artifact::BufferConfig& config = artifact_.buffers;
  ProgramOnDie program;
  TYLLM_ASSIGN(plan::Schedule schedule,
               plan::BuildSchedule(graph, config.formats(), config.shard_plan(), die, id,
                                   config.max_kv, config.inputs()));
  program.schedule = std::make_unique<const plan::Schedule>(std::move(schedule));
  TYLLM_ASSIGN(program.common, Params(artifact::CommonParams(die)));
  program.weights_at = program.common->bytes().data();
  TYLLM_ASSIGN(program.constant, Params(artifact::ConstantParams(die, id.bucket)));
  const Path binding_file = artifact::BindingParams(die, id.bucket);
  TYLLM_ASSIGN(const artifact::ParamsFile* bindings, Params(binding_file));
  TYLLM_ASSIGN(program.bindings, ReadBindings(*bindings));
  Result<BoundWeights> weights =
      BoundWeights::Bind(*program.schedule, *program.common, *program.constant, program.bindings);
  TYLLM_ASSIGN(program.weights, std::move(weights).Annotate(bindings->path().string()));
  if (engine_ == Engine::kCompiled) {
    const Path object = artifact_.directory / artifact::ProgramObject(id, die);
    TYLLM_ASSIGN(program.object, ProgramObject::Load(object));
    TYLLM_TRY(CheckObject(program, die).Annotate(object.string()));
  }
  return program;
}

Result<artifact::ParamsFile*> LoadedArtifact::Params(const Path& relative) {
  std::unique_ptr<artifact::ParamsFile>& file = files_[relative];
  if (file == nullptr) {
    TYLLM_ASSIGN(artifact::ParamsFile opened,
                 artifact::ParamsFile::Open(artifact_.directory / relative));
    file = std::make_unique<artifact::ParamsFile>(std::move(opened));
  }
  return file.get();
}

Status LoadedArtifact::CheckObject(const ProgramOnDie& on_die, std::int64_t die) const {
  const plan::Schedule& schedule = *on_die.schedule;
  const die::Program& program = on_die.object->program();
  const std::string_view kind = plan::NamesOf(schedule.program.kind).Name(schedule.program.kind);
  if (kind != program.kind) {
    return FailedPrecondition("is a program of kind " + std::string(program.kind) + ", expected " +
                              std::string(kind) + "; compile the model again");
  }
  TYLLM_ASSIGN(const plan::MemoryPlan memory, plan::PlanMemory(schedule));
  const auto logits = static_cast<std::size_t>(schedule.logits);
  const auto number = [](std::int64_t n) { return static_cast<std::uint64_t>(n); };
  const Claim claims[] = {
      {"bucket", program.bucket, number(schedule.program.bucket)},
      {"max_kv", program.max_kv, number(schedule.max_kv)},
      {"width", program.width, number(schedule.shape.width)},
      {"vocabulary", program.vocabulary, number(schedule.shape.vocabulary)},
      {"logit_columns", program.logit_columns, number(schedule.shard.vocabulary.size())},
      {"logit_rows", program.logit_rows, number(schedule.logit_rows())},
      {"logits_offset", program.logits_offset, memory.offsets[logits]},
      {"arena_bytes", program.arena_bytes, memory.arena_bytes},
      {"kv_bytes", program.kv_bytes, plan::KvCacheBytes(schedule)},
      {"binding_count", program.binding_count, on_die.bindings.size()},
      {"segment_count", program.segment_count, schedule.Runs().size()},
  };
  for (const Claim& claim : claims) {
    if (claim.found != claim.expected) {
      return FailedPrecondition("says " + std::string(claim.name) + " " +
                                std::to_string(claim.found) + ", buffer_config.json stands for " +
                                std::to_string(claim.expected) + "; compile the model again");
    }
  }
  const Path record_path = artifact_.directory / artifact::ProgramRecordFile(schedule.program, die);
  TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(record_path));
  TYLLM_ASSIGN(const auto record,
               format::FromJson<artifact::ProgramRecord>(json, record_path.string()));
  if (record.plan_digest != program.plan_digest) {
    return FailedPrecondition("was generated from plan " + std::string(program.plan_digest) + ", " +
                              record_path.filename().string() + " expects " + record.plan_digest +
                              "; compile the model again");
  }
  return OkStatus();
}

}  // namespace tyllm::simulator
