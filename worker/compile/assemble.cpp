// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/assemble.h"

#include <array>
#include <filesystem>

#include "common/base/mapped_file.h"
#include "common/base/staging.h"
#include "worker/artifact/buffer_config.h"
#include "worker/artifact/layout.h"
#include "worker/artifact/visual_layout.h"
#include "worker/compile/finished_params.h"
#include "worker/compile/golden.h"
#include "worker/compile/tokenizer_files.h"
#include "worker/compile/visual/visual_parts.h"
#include "worker/compile/weights.h"

namespace tyllm::compile {
namespace {

namespace fs = std::filesystem;

Result<artifact::BufferConfig> DescribeBuffers(const Preparation& preparation) {
  const domain::CompileOptions& options = preparation.options;
  artifact::BufferConfig config;
  config.dies = options.dies;
  config.seq_lens = options.seq_lens;
  config.max_kv = options.max_kv;
  config.embedding_as_input = options.embedding_as_input;
  config.visual = preparation.inputs().rotations;
  config.deepstack = preparation.inputs().deepstack;
  config.layers = preparation.model.shape().names.layers;
  config.group = preparation.formats.group;
  config.float_linears.assign(preparation.formats.float_linears.begin(),
                              preparation.formats.float_linears.end());
  config.attention_group = preparation.shards.attention_group;
  config.mlp_group = preparation.shards.mlp_group;
  config.reduce_group = preparation.shards.reduce_group;
  config.int8_head = preparation.formats.int8_head;
  config.activation_bits = preparation.formats.activation_bits;
  config.in_12_bits = preparation.formats.in_12_bits;
  config.lm_die_remap = options.lm_die_remap;
  for (std::int64_t die = 0; die < options.dies; ++die) {
    TYLLM_ASSIGN(const std::vector<PlannedProgram> programs, preparation.Plan(die));
    artifact::DieEntry entry;
    entry.die = die;
    entry.physical_die =
        options.lm_die_remap.empty() ? die : options.lm_die_remap[static_cast<std::size_t>(die)];
    entry.shard = preparation.shards.dies[static_cast<std::size_t>(die)];
    entry.kv_bytes = plan::KvCacheBytes(programs.front().schedule);
    entry.kv_layer_bytes = plan::KvLayerBytes(programs.front().schedule);
    for (const PlannedProgram& program : programs) {
      entry.programs.push_back(artifact::Describe(program.schedule, program.memory));
    }
    config.die_list.push_back(std::move(entry));
  }
  return config;
}

/// Removes what is neither a file of a die nor about unfinished work: of an attempt before this
/// one, or nobody's.
Status KeepOnlyDies(FileSystem& files, const DieRecords& records, const Path& root,
                    const Path& scratch) {
  const Path inside = scratch.lexically_relative(root);
  TYLLM_ASSIGN(const std::vector<Path> paths, artifact::ListFiles(root));
  for (const Path& path : paths) {
    const bool is_work = *path.begin() == *inside.begin() || path == Staging::kKeyFile ||
                         *path.begin() == FinishedParams::kFolder;
    if (!is_work && !records.Has(path)) {
      TYLLM_TRY(files.RemoveAll(root / path));
    }
  }
  return OkStatus();
}

/// What travels with the model, and never in the place of anything else.
Status CopyPassengers(FileSystem& files, const model::Checkpoint& checkpoint, const Path& root) {
  for (const Path& passenger : checkpoint.PassengerFiles()) {
    std::error_code error;
    if (fs::exists(fs::symlink_status(root / passenger, error))) {
      return FailedPrecondition((root / passenger).string() +
                                " is there already, where a file of the model belongs; rename or "
                                "move that file out of " +
                                checkpoint.directory().string());
    }
    TYLLM_TRY(CopyFile(files, checkpoint.directory() / passenger, root / passenger));
  }
  return OkStatus();
}

Status WriteManifest(FileSystem& files, const Preparation& preparation, const DieRecords& records,
                     const Path& root, const Path& scratch) {
  artifact::Manifest manifest;
  const model::Checkpoint& checkpoint = preparation.model.checkpoint;
  manifest.model = {checkpoint.shape().family, checkpoint.shape().architecture,
                    std::string(model::kCheckpointFormatNames.Name(checkpoint.format())),
                    preparation.model_digest};
  manifest.options = preparation.options;
  manifest.toolchain = records.toolchain();
  const std::array<Path, 2> own = {artifact::kManifestFile, Staging::kKeyFile};
  TYLLM_ASSIGN(const std::vector<Path> paths, artifact::ListFiles(root, own));
  const Path inside = scratch.lexically_relative(root);
  for (const Path& path : paths) {
    if (*path.begin() != *inside.begin() && *path.begin() != FinishedParams::kFolder) {
      TYLLM_ASSIGN(artifact::FileEntry entry, records.Describe(root, path));
      manifest.files.push_back(std::move(entry));
    }
  }
  return artifact::WriteManifest(files, root, std::move(manifest));
}

}  // namespace

Status CopyFile(FileSystem& files, const Path& from, const Path& to) {
  TYLLM_TRY(files.CreateDirectories(to.parent_path()));
  Path unfinished = to;
  unfinished += ".tmp";
  TYLLM_ASSIGN(const MappedFile source, MappedFile::Open(from));
  TYLLM_ASSIGN(const std::unique_ptr<OutputFile> copy, files.Create(unfinished));
  TYLLM_TRY(copy->Append(source.bytes()));
  TYLLM_TRY(copy->Sync());
  TYLLM_TRY(copy->Close());
  return files.Rename(unfinished, to);
}

Status CopyTokenizer(FileSystem& files, const Path& from, const Path& root) {
  for (const Path& name : TokenizerFiles(from)) {
    TYLLM_TRY(CopyFile(files, from / name, root / name));
  }
  return OkStatus();
}

Status AssembleInto(FileSystem& files, const Preparation& preparation, DieDigests digests, int jobs,
                    const Path& root, const Path& scratch, domain::ProgressSink& progress) {
  const model::Checkpoint& checkpoint = preparation.model.checkpoint;
  TYLLM_ASSIGN(const DieRecords records, DieRecords::Read(preparation, digests, root));
  progress.Report({"assemble", 0, 1, "artifacts", ""});
  TYLLM_TRY(KeepOnlyDies(files, records, root, scratch));
  TYLLM_TRY(CopyPassengers(files, checkpoint, root));
  TYLLM_TRY(CopyTokenizer(files, preparation.source_tokenizer, root));
  TYLLM_ASSIGN(const artifact::BufferConfig buffers, DescribeBuffers(preparation));
  TYLLM_TRY(WriteFileAtomically(files, root / artifact::kBufferConfigFile,
                                format::PrettyJson(format::ToJson(buffers))));
  TYLLM_TRY(WriteFileAtomically(files, root / artifact::kEmptyFile, ""));
  TYLLM_TRY(AssembleVisual(files, preparation, jobs, root, progress));
  if (preparation.options.embedding_as_input && !preparation.tower) {
    TYLLM_TRY(WriteEmbeddingTable(files, checkpoint, root / artifact::kEmbeddingFile));
  }
  TYLLM_TRY(WriteGolden(
      files, preparation.model, preparation.options.max_kv,
      {buffers.int8_head, buffers.activation_bits, buffers.attention_group, buffers.mlp_group},
      jobs, root / artifact::kGoldenFile, progress));
  TYLLM_TRY(WriteManifest(files, preparation, records, root, scratch));
  progress.Report({"assemble", 1, 1, "artifacts", ""});
  return OkStatus();
}

Status Adopt(FileSystem& files, const Path& part, const Path& root) {
  TYLLM_ASSIGN(const std::vector<Path> paths, artifact::ListFiles(part));
  for (const Path& path : paths) {
    std::error_code error;
    if (*path.begin() != artifact::kBatchFolder && *path.begin() != artifact::kVisualFolder &&
        *path.begin() != artifact::kMropeFolder) {
      continue;
    }
    TYLLM_TRY(files.CreateDirectories((root / path).parent_path()));
    TYLLM_TRY(files.RemoveAll(root / path));  // of an attempt before this one
    fs::create_hard_link(part / path, root / path, error);
    if (error) {
      TYLLM_TRY(CopyFile(files, part / path, root / path));
    }
  }
  return OkStatus();
}

}  // namespace tyllm::compile
