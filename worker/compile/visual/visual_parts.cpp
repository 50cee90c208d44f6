// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/visual/visual_parts.h"

#include "worker/artifact/visual_layout.h"
#include "worker/artifact/visual_record.h"
#include "worker/compile/die_records.h"
#include "worker/compile/object_builder.h"
#include "worker/compile/visual/golden_picture.h"
#include "worker/compile/visual/mrope_build.h"
#include "worker/compile/weights.h"

namespace tyllm::compile {

namespace {

/// The record of what a die has; the digests of `weights` are known.
Status WriteRecord(FileSystem& files, const Preparation& preparation, std::int64_t die,
                   const artifact::FileEntry& weights, const Path& root) {
  artifact::VisualRecord record;
  record.die = die;
  record.model = preparation.model_digest;
  record.toolchain = preparation.toolchain;
  record.options = preparation.options;
  for (const Path& path : VisualFilesOfDie(preparation, die)) {
    if (path.generic_string() == weights.path) {
      record.files.push_back(weights);
      continue;
    }
    TYLLM_ASSIGN(artifact::FileEntry file, artifact::DescribeFile(root, path));
    record.files.push_back(std::move(file));
  }
  return WriteFileAtomically(files, root / artifact::TowerRecordFile(die),
                             format::PrettyJson(format::ToJson(record)));
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
  TYLLM_ASSIGN(const std::vector<artifact::FileEntry> weights,
               BuildTowerDies(files, *preparation.tower, preparation.model, dies, builder,
                              preparation.options.keep_source, pool, root, progress));
  TYLLM_TRY(WriteMropeDies(files, preparation.model.shape(), preparation.tower->tower.shape,
                           preparation.options.max_kv, dies, builder, root));
  for (std::size_t i = 0; i < dies.size(); ++i) {
    TYLLM_TRY(WriteRecord(files, preparation, dies[i], weights[i], root));
  }
  return OkStatus();
}

Status AssembleVisual(FileSystem& files, const Preparation& preparation, int jobs, const Path& root,
                      domain::ProgressSink& progress) {
  if (!preparation.tower) {
    return OkStatus();
  }
  const domain::CompileOptions& options = preparation.options;
  TYLLM_TRY(WriteTowerFiles(files, *preparation.tower, preparation.model, root));
  TYLLM_TRY(WriteMropeFiles(files, preparation.model.shape(), options.max_kv, options.dies, root));
  TYLLM_TRY(WriteEmbeddingParams(files, preparation.model.checkpoint,
                                 root / artifact::kEmbeddingParamsFile));
  return WriteVisualGolden(files, preparation.model, *preparation.tower, options.max_kv, jobs, root,
                           progress);
}

}  // namespace tyllm::compile
