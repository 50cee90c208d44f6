// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/assemble.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>

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

Status MissingPart(const Path& file, const std::string& why) {
  return FailedPrecondition("the dies cannot be put together: " + file.string() + " " + why +
                            "; compile this die again with the same model and options");
}

Result<artifact::ProgramRecord> ReadRecord(const Preparation& preparation, const Path& root,
                                           const plan::ProgramId& program, std::int64_t die) {
  const Path path = root / artifact::ProgramRecordFile(program, die);
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return MissingPart(path, "is missing");
  }
  TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(path));
  TYLLM_ASSIGN(auto record, format::FromJson<artifact::ProgramRecord>(json, path.string()));
  if (record.model != preparation.model_digest || record.options != preparation.options) {
    return MissingPart(path, "is of another model or other options");
  }
  for (const artifact::FileEntry& file : record.files) {
    if (fs::file_size(root / file.path, error) != file.bytes || error) {
      return MissingPart(root / file.path, "is missing or has another size than its record says");
    }
  }
  return record;
}

/// What the records of all programs say.
struct DieRecords {
  artifact::Toolchain toolchain;
  std::map<std::string, artifact::FileEntry> files;  ///< by path
};

/// Reads all records; what made the programs must be the same everywhere.
Result<DieRecords> CheckDies(const Preparation& preparation, const Path& root) {
  std::optional<artifact::Toolchain> toolchain;
  DieRecords records;
  for (std::int64_t die = 0; die < preparation.options.dies; ++die) {
    for (const plan::ProgramId& program : preparation.programs) {
      TYLLM_ASSIGN(const auto record, ReadRecord(preparation, root, program, die));
      if (toolchain && *toolchain != record.toolchain) {
        return MissingPart(root / artifact::ProgramRecordFile(program, die),
                           "names another compiler or version of tyllm than the dies before");
      }
      toolchain = record.toolchain;
      for (const artifact::FileEntry& file : record.files) {
        records.files[file.path] = file;
      }
    }
  }
  TYLLM_CHECK(toolchain.has_value());
  records.toolchain = *std::move(toolchain);
  return records;
}

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

/// What a file is: as its record says, which is compared with its bytes unless they are known.
Result<artifact::FileEntry> Describe(const DieRecords& records, DieDigests digests,
                                     const Path& root, const Path& path) {
  const auto recorded = records.files.find(path.generic_string());
  if (recorded != records.files.end() && digests == DieDigests::kKnown) {
    return recorded->second;
  }
  TYLLM_ASSIGN(artifact::FileEntry entry, artifact::DescribeFile(root, path));
  if (recorded != records.files.end() && entry != recorded->second) {
    return MissingPart(root / path, "is not what its record says");
  }
  return entry;
}

Status WriteManifest(FileSystem& files, const Preparation& preparation, const DieRecords& records,
                     DieDigests digests, const Path& root, const Path& scratch) {
  artifact::Manifest manifest;
  const model::Checkpoint& checkpoint = preparation.model.checkpoint;
  manifest.model = {checkpoint.shape().family, checkpoint.shape().architecture,
                    std::string(model::kCheckpointFormatNames.Name(checkpoint.format())),
                    preparation.model_digest};
  manifest.options = preparation.options;
  manifest.toolchain = records.toolchain;
  const std::array<Path, 2> own = {artifact::kManifestFile, Staging::kKeyFile};
  TYLLM_ASSIGN(const std::vector<Path> paths, artifact::ListFiles(root, own));
  const Path inside = scratch.lexically_relative(root);
  for (const Path& path : paths) {
    if (*path.begin() != *inside.begin() && *path.begin() != FinishedParams::kFolder) {
      TYLLM_ASSIGN(artifact::FileEntry entry, Describe(records, digests, root, path));
      manifest.files.push_back(std::move(entry));
    }
  }
  return artifact::WriteManifest(files, root, std::move(manifest));
}

Status CopyTokenizer(FileSystem& files, const Path& from, const Path& root) {
  for (const Path& name : TokenizerFiles(from)) {
    TYLLM_TRY(CopyFile(files, from / name, root / name));
  }
  return OkStatus();
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

Status AssembleInto(FileSystem& files, const Preparation& preparation, DieDigests digests, int jobs,
                    const Path& root, const Path& scratch, domain::ProgressSink& progress) {
  const model::Checkpoint& checkpoint = preparation.model.checkpoint;
  const std::vector<Path>& passengers = checkpoint.PassengerFiles();
  TYLLM_ASSIGN(const DieRecords records, CheckDies(preparation, root));
  progress.Report({"assemble", 0, 1, "artifacts", ""});
  for (const Path& passenger : passengers) {
    TYLLM_TRY(CopyFile(files, checkpoint.directory() / passenger, root / passenger));
  }
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
  TYLLM_TRY(files.RemoveAll(root / artifact::kVerificationFile));  // of an attempt before this one
  TYLLM_TRY(WriteManifest(files, preparation, records, digests, root, scratch));
  progress.Report({"assemble", 1, 1, "artifacts", ""});
  return OkStatus();
}

Status Adopt(FileSystem& files, const Path& part, const Path& root) {
  TYLLM_ASSIGN(const std::vector<Path> paths, artifact::ListFiles(part));
  for (const Path& path : paths) {
    std::error_code error;
    if (*path.begin() != "batch_1" && *path.begin() != artifact::kVisualFolder &&
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
