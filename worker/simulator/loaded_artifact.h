// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "worker/artifact/artifact.h"
#include "worker/artifact/embedding_table.h"
#include "worker/artifact/params.h"
#include "worker/model/vision_shape.h"
#include "worker/simulator/bound_weights.h"
#include "worker/simulator/engine.h"
#include "worker/simulator/native_program.h"
#include "worker/simulator/resident_parameters.h"

namespace tyllm::simulator {

/// One program on one die, with everything that it reads.
struct ProgramOnDie {
  std::unique_ptr<const plan::Schedule> schedule;
  artifact::ParamsFile* common = nullptr;
  const std::byte* weights_at = nullptr;  ///< `common` where programs read it
  artifact::ParamsFile* constant = nullptr;
  std::vector<std::uint64_t> bindings;
  std::optional<BoundWeights> weights;
  std::optional<ProgramObject> object;  ///< none for the interpreter
};

/// A program on all dies.
struct LoadedProgram {
  plan::ProgramId id;
  std::vector<ProgramOnDie> dies;
};

/// Whether it has shared objects, and not only their schedules (`--compiler none`).
bool HasPrograms(const artifact::Artifact& artifact);

/// An artifact directory in memory: parameters mapped, programs loaded, all of it checked against
/// the manifest, the ckpt files and the schedules that buffer_config.json stands for. Immutable;
/// any number of sessions may use it.
class LoadedArtifact {
 public:
  /// A model without shared objects (`--compiler none`) is interpreted whatever `engine` is. Shared
  /// objects for a CPU that this machine is not are an error before any file of theirs is opened.
  /// Errors name the file, what was found and what was expected. Digests are not computed
  /// (artifact::CheckFiles does).
  static Result<LoadedArtifact> Load(const Path& directory, Engine engine = Engine::kCompiled,
                                     Residency residency = Residency::kMapped);

  const artifact::Artifact& artifact() const { return artifact_; }

  Engine engine() const { return engine_; }

  const std::vector<LoadedProgram>& programs() const { return programs_; }

  std::int64_t dies() const { return artifact_.buffers.dies; }

  /// The host's embedding table; none when programs take token ids.
  const artifact::EmbeddingTable* embedding() const { return embedding_ ? &*embedding_ : nullptr; }

  /// Gives back the memory of mapped pages of what a die's programs read in `segment` (numbered as
  /// in plan::Schedule::Runs): they are mapped again when they are read again.
  void Forget(std::size_t segment, std::size_t die) const;

  /// Of a visual language model; nullptr for one of text, and for one compiled as text.
  const model::VisionShape* vision() const { return vision_ ? &*vision_ : nullptr; }

 private:
  LoadedArtifact(artifact::Artifact artifact, Engine engine)
      : artifact_(std::move(artifact)), engine_(engine) {}

  Status LoadEmbedding();
  Status LoadVision();
  Status MakeResident();
  Status LoadProgram(const graph::Graph& graph, const plan::ProgramId& id);
  Result<ProgramOnDie> LoadOnDie(const graph::Graph& graph, const plan::ProgramId& id,
                                 std::int64_t die);
  Result<artifact::ParamsFile*> Params(const Path& relative);
  Status CheckObject(const ProgramOnDie& program, std::int64_t die) const;

  artifact::Artifact artifact_;
  Engine engine_;
  std::map<Path, std::unique_ptr<artifact::ParamsFile>> files_;
  ResidentParameters resident_;
  std::vector<LoadedProgram> programs_;
  std::optional<artifact::EmbeddingTable> embedding_;
  std::optional<model::VisionShape> vision_;
};

}  // namespace tyllm::simulator
