// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/visual/visual_parts.h"

#include <filesystem>

#include "worker/artifact/visual_layout.h"
#include "worker/compile/object_builder.h"
#include "worker/compile/visual/golden_picture.h"
#include "worker/compile/visual/mrope_build.h"
#include "worker/compile/weights.h"

namespace tyllm::compile {

namespace {

Status CheckFile(const Path& path) {
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) {
    return OkStatus();
  }
  return FailedPrecondition("the dies cannot be put together: " + path.string() +
                            " is missing; compile this die again with the same model and options");
}

Status CheckDies(const Preparation& preparation, const Path& root) {
  const std::int64_t max_kv = preparation.options.max_kv;
  for (std::int64_t die = 0; die < preparation.options.dies; ++die) {
    const std::string number = "die" + std::to_string(die);
    for (const Path& path : {artifact::TowerParams(die), artifact::TowerObject(die),
                             artifact::MropeFile(max_kv, number + ".so"),
                             artifact::MropeFile(max_kv, number + ".params")}) {
      TYLLM_TRY(CheckFile(root / path));
    }
  }
  return OkStatus();
}

}  // namespace

Status BuildVisualDies(FileSystem& files, const CompileRequest& request,
                       const Preparation& preparation, const std::vector<std::int64_t>& dies,
                       const Path& root, const Path& scratch, ThreadPool& pool,
                       domain::ProgressSink& progress) {
  if (!preparation.tower) {
    return OkStatus();
  }
  const ObjectBuilder builder(files, preparation.compiler, preparation.options.target_cpu, scratch,
                              request.cache);
  TYLLM_TRY(BuildTowerDies(files, *preparation.tower, preparation.model, dies, builder,
                           preparation.options.keep_source, pool, root, progress));
  return WriteMropeDies(files, preparation.model.shape(), preparation.tower->tower.shape,
                        preparation.options.max_kv, dies, builder, root);
}

Status AssembleVisual(FileSystem& files, const Preparation& preparation, int jobs, const Path& root,
                      domain::ProgressSink& progress) {
  if (!preparation.tower) {
    return OkStatus();
  }
  const domain::CompileOptions& options = preparation.options;
  TYLLM_TRY(CheckDies(preparation, root));
  TYLLM_TRY(WriteTowerFiles(files, *preparation.tower, preparation.model, root));
  TYLLM_TRY(WriteMropeFiles(files, preparation.model.shape(), options.max_kv, options.dies, root));
  TYLLM_TRY(WriteEmbeddingParams(files, preparation.model.checkpoint,
                                 root / artifact::kEmbeddingParamsFile));
  return WriteVisualGolden(files, preparation.model, *preparation.tower, options.max_kv, jobs, root,
                           progress);
}

}  // namespace tyllm::compile
