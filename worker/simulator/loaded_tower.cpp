// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/loaded_tower.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/format/float16.h"
#include "worker/artifact/visual_layout.h"

namespace tyllm::simulator {

namespace {

/// A number that a shared object says of itself, and what the schedule says.
struct Claim {
  std::string_view name;
  std::uint64_t found;
  std::uint64_t expected;
};

Status CheckProgram(const die::Program& program, const plan::TowerSchedule& schedule,
                    const Path& path) {
  const auto number = [](std::int64_t n) { return static_cast<std::uint64_t>(n); };
  if (std::string_view(program.kind) != "vit") {
    return FailedPrecondition(path.string() + " is a program of kind " + program.kind +
                              ", expected vit; compile the model again");
  }
  const Claim claims[] = {
      {"bucket", program.bucket, number(schedule.patches())},
      {"width", program.width, number(schedule.shape.patch_values())},
      {"logit_columns", program.logit_columns, number(schedule.shape.out_width)},
      {"logit_rows", program.logit_rows, number(schedule.outputs() * schedule.tokens())},
      {"logits_offset", program.logits_offset, schedule.buffers[plan::kFeaturesBuffer].offset},
      {"arena_bytes", program.arena_bytes, schedule.arena_bytes},
      {"binding_count", program.binding_count, number(schedule.binding_count())},
      {"segment_count", program.segment_count, number(schedule.segment_count())},
  };
  for (const Claim& claim : claims) {
    if (claim.found != claim.expected) {
      return FailedPrecondition(path.string() + " says " + std::string(claim.name) + " " +
                                std::to_string(claim.found) +
                                ", visual/buffer_config.json stands for " +
                                std::to_string(claim.expected) + "; compile the model again");
    }
  }
  return OkStatus();
}

/// Pixels as the program's input holds them.
std::vector<float> Rounded(const tensor::Matrix& patches) {
  std::vector<float> pixels(patches.data(), patches.data() + patches.rows() * patches.columns());
  for (float& pixel : pixels) {
    pixel = format::HalfToFloat(format::FloatToHalf(pixel));
  }
  return pixels;
}

}  // namespace

Result<LoadedTower> LoadedTower::Load(const Path& folder, std::int64_t threads, Engine engine) {
  TYLLM_ASSIGN(artifact::VisualConfig config, artifact::ReadVisualConfig(folder));
  const Path config_path = folder / artifact::kConfigFile;
  TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(config_path));
  TYLLM_ASSIGN(const model::VisionShape shape, model::ReadVision(json, config_path.string()));
  TYLLM_ASSIGN(artifact::TorchArchive preset,
               artifact::TorchArchive::Open(
                   folder / artifact::TowerFile(config.signature, "preset_kwargs.pt")));
  LoadedTower loaded(std::move(config), std::move(preset), threads);
  const graph::Tower tower = graph::BuildTower(shape, loaded.config_.module);
  for (std::int64_t die = 0; die < std::ssize(loaded.config_.die_list); ++die) {
    TYLLM_TRY(loaded.LoadDie(folder, tower, die, engine));
  }
  return loaded;
}

Status LoadedTower::LoadDie(const Path& folder, const graph::Tower& tower, std::int64_t die,
                            Engine engine) {
  TYLLM_ASSIGN(plan::TowerSchedule schedule,
               plan::BuildTowerSchedule(tower, config_.grid, config_.shards(), die));
  if (plan::SignatureOf(schedule.inputs) != config_.signature) {
    return DataLoss((folder / artifact::kVisualFolder / artifact::kBufferConfigFile).string() +
                    " names inputs " + config_.signature + ", its grid stands for " +
                    plan::SignatureOf(schedule.inputs) + "; compile the model again");
  }
  Die loaded;
  loaded.schedule = std::make_unique<const plan::TowerSchedule>(std::move(schedule));
  TYLLM_ASSIGN(artifact::ParamsFile params,
               artifact::ParamsFile::Open(folder / artifact::TowerParams(die)));
  loaded.params = std::make_unique<artifact::ParamsFile>(std::move(params));
  TYLLM_ASSIGN(loaded.bindings, BindTower(*loaded.schedule, *loaded.params, *preset_));
  if (engine == Engine::kCompiled) {
    TYLLM_TRY(LoadProgram(folder, die, loaded));
  }
  dies_.push_back(std::move(loaded));
  return OkStatus();
}

Status LoadedTower::LoadProgram(const Path& folder, std::int64_t die, Die& loaded) const {
  const Path path = folder / artifact::TowerObject(die);
  TYLLM_ASSIGN(ProgramObject object, ProgramObject::Load(path));
  loaded.object = std::make_unique<ProgramObject>(std::move(object));
  TYLLM_TRY(CheckProgram(loaded.object->program(), *loaded.schedule, path));
  TYLLM_ASSIGN(loaded.arena,
               AlignedMemory::Allocate(loaded.schedule->arena_bytes,
                                       "the visual arena of die " + std::to_string(die)));
  loaded.program = std::make_unique<NativeProgram>(
      loaded.object->program(), static_cast<std::uint32_t>(die),
      static_cast<std::uint32_t>(config_.die_list.size()),
      DieParameters{loaded.params->bytes().data(), preset_->bytes().data(), loaded.bindings.data()},
      DieMemory{loaded.arena.data(), nullptr});
  return OkStatus();
}

Result<forward::VisualFeatures> LoadedTower::Run(const tensor::Matrix& patches) {
  const plan::TowerSchedule& schedule = *dies_.front().schedule;
  if (patches.rows() != schedule.patches() || patches.columns() != schedule.shape.patch_values()) {
    return InvalidArgument(
        "an image has " + std::to_string(patches.rows()) + " patches of " +
        std::to_string(patches.columns()) + " numbers, the model was compiled for " +
        std::to_string(schedule.patches()) + " of " +
        std::to_string(schedule.shape.patch_values()) + " (" + std::to_string(config_.width) +
        " x " + std::to_string(config_.height) + " pixels)");
  }
  if (dies_.front().program == nullptr) {
    return FailedPrecondition("the visual tower was opened without its programs, which run it");
  }
  const std::vector<float> pixels = Rounded(patches);
  const std::vector<std::int32_t> places(static_cast<std::size_t>(patches.rows()));
  std::vector<DieProgram*> programs;
  for (const Die& die : dies_) {
    die.program->Begin({places, pixels, 0});
    programs.push_back(die.program.get());
  }
  executor_->Run(programs, patches.rows());
  const float* from = dies_.front().program->Logits();
  const std::int64_t count = schedule.tokens() * schedule.shape.out_width;
  forward::VisualFeatures features;
  for (std::int64_t i = 0; i < schedule.outputs(); ++i, from += count) {
    tensor::Matrix rows(schedule.tokens(), schedule.shape.out_width,
                        std::vector<float>(from, from + count));
    if (i == 0) {
      features.tokens = std::move(rows);
    } else {
      features.deepstack.push_back(std::move(rows));
    }
  }
  return features;
}

}  // namespace tyllm::simulator
