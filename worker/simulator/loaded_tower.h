// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "worker/artifact/visual_config.h"
#include "worker/forward/tower.h"
#include "worker/simulator/aligned_memory.h"
#include "worker/simulator/engine.h"
#include "worker/simulator/executor.h"
#include "worker/simulator/native_program.h"
#include "worker/simulator/tower_params.h"

namespace tyllm::simulator {

/// The visual tower of a compiled model on the die simulator: `visual/` of its directory, opened
/// and checked. Not thread-safe.
class LoadedTower {
 public:
  /// `folder` is the "<N>die" folder. Errors name the file, what was found and what was expected.
  /// A tower is not interpreted: without its programs it is checked, and does not run.
  static Result<LoadedTower> Load(const Path& folder, std::int64_t threads = 0,
                                  Engine engine = Engine::kCompiled);

  const artifact::VisualConfig& config() const { return config_; }

  const model::VisionShape& shape() const { return dies_.front().schedule->shape; }

  /// `patches` [patches, patch_values] of an image or video of the compiled size; anything else is
  /// kInvalidArgument with both sizes. kFailedPrecondition without programs. Pixels are rounded to
  /// binary16, as the program takes them.
  Result<forward::VisualFeatures> Run(const tensor::Matrix& patches);

 private:
  struct Die {
    std::unique_ptr<const plan::TowerSchedule> schedule;
    std::unique_ptr<artifact::ParamsFile> params;
    std::vector<std::uint64_t> bindings;
    std::unique_ptr<ProgramObject> object;
    AlignedMemory arena;
    std::unique_ptr<NativeProgram> program;
  };

  LoadedTower(artifact::VisualConfig config, artifact::TorchArchive preset, std::int64_t threads)
      : config_(std::move(config)),
        preset_(std::make_unique<artifact::TorchArchive>(std::move(preset))),
        executor_(std::make_unique<Executor>(std::ssize(config_.die_list), threads)) {}

  Status LoadDie(const Path& folder, const graph::Tower& tower, std::int64_t die, Engine engine);
  Status LoadProgram(const Path& folder, std::int64_t die, Die& loaded) const;

  artifact::VisualConfig config_;
  std::unique_ptr<artifact::TorchArchive> preset_;
  std::vector<Die> dies_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace tyllm::simulator
