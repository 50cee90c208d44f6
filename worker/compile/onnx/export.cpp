// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/onnx/export.h"

#include <algorithm>
#include <filesystem>

#include "worker/compile/onnx/text_graph.h"
#include "worker/simulator/loaded_artifact.h"

namespace tyllm::compile {
namespace {

namespace fs = std::filesystem;

/// The program with the most general inputs: history, and every token's logits.
Result<const simulator::LoadedProgram*> DecodingProgram(const simulator::LoadedArtifact& loaded) {
  const auto& programs = loaded.programs();
  const auto found = std::find_if(programs.begin(), programs.end(), [](const auto& program) {
    return program.id.kind == plan::ProgramKind::kDecode;
  });
  if (found == programs.end()) {
    return FailedPrecondition(loaded.artifact().directory.string() +
                              " has no decoding program to export; compile with --seq-lens 1,8");
  }
  return &*found;
}

Path GraphOf(const Path& out, std::int64_t die) {
  return out / ("llm_die" + std::to_string(die) + ".onnx");
}

Path DataOf(Path graph) {
  return graph += ".data";
}

Status CheckNothingIsThere(const Path& out, std::int64_t dies) {
  for (std::int64_t die = 0; die < dies; ++die) {
    const Path graph = GraphOf(out, die);
    for (const Path& file : {graph, DataOf(graph)}) {
      std::error_code error;
      if (fs::exists(file, error)) {
        return AlreadyExists(file.string() + " exists; choose another folder or remove it first");
      }
    }
  }
  return OkStatus();
}

Status ExportDie(FileSystem& files, const simulator::LoadedArtifact& loaded,
                 const simulator::ProgramOnDie& program, const Path& path) {
  TYLLM_ASSIGN(onnx::DataFile data, onnx::DataFile::Create(files, DataOf(path)));
  WeightTensors weights(*program.schedule, *program.weights, data);
  TYLLM_ASSIGN(onnx::Model model, TextGraph(*program.schedule, loaded.dies(), weights));
  TYLLM_TRY(data.Finish());
  const artifact::Artifact& artifact = loaded.artifact();
  model.metadata = {{"tyllm.model_digest", artifact.manifest.model.digest},
                    {"tyllm.backend", artifact.manifest.backend},
                    {"tyllm.dies", std::to_string(loaded.dies())}};
  return onnx::WriteModel(files, path, model);
}

/// Half an export is none. `folder`: made for it.
void RemoveParts(FileSystem& files, const std::vector<Path>& graphs, const Path& folder) {
  for (const Path& graph : graphs) {
    for (Path file : {graph, DataOf(graph)}) {
      (void)files.RemoveAll(file);
      (void)files.RemoveAll(file += ".tmp");
    }
  }
  std::error_code error;
  if (!folder.empty() && fs::is_empty(folder, error) && !error) {
    (void)files.RemoveAll(folder);
  }
}

}  // namespace

Result<std::vector<Path>> ExportOnnx(FileSystem& files, const Path& directory, const Path& out,
                                     domain::ProgressSink& progress) {
  TYLLM_ASSIGN(const simulator::LoadedArtifact loaded,
               simulator::LoadedArtifact::Load(directory, simulator::Engine::kInterpreter));
  TYLLM_ASSIGN(const simulator::LoadedProgram* const program, DecodingProgram(loaded));
  TYLLM_TRY(CheckNothingIsThere(out, loaded.dies()));
  std::error_code error;
  const bool is_new = !fs::exists(out, error);
  TYLLM_TRY(files.CreateDirectories(out));
  std::vector<Path> paths;
  for (std::int64_t die = 0; die < loaded.dies(); ++die) {
    progress.Report({"onnx", die, loaded.dies(), "dies", ""});
    paths.push_back(GraphOf(out, die));
    const Status status =
        ExportDie(files, loaded, program->dies[static_cast<std::size_t>(die)], paths.back());
    if (!status.ok()) {
      RemoveParts(files, paths, is_new ? out : Path());
      return status;
    }
  }
  progress.Report({"onnx", loaded.dies(), loaded.dies(), "dies", ""});
  return paths;
}

}  // namespace tyllm::compile
