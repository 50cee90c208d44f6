// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/die_records.h"

#include <algorithm>
#include <filesystem>

#include "worker/artifact/layout.h"
#include "worker/artifact/visual_layout.h"
#include "worker/artifact/visual_record.h"

namespace tyllm::compile {
namespace {

namespace fs = std::filesystem;

Status MissingPart(const Path& file, const std::string& why) {
  return FailedPrecondition("the dies cannot be put together: " + file.string() + " " + why +
                            "; compile this die again with the same model and options");
}

template <typename Record>
Result<Record> ReadRecord(const Preparation& preparation, const Path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return MissingPart(path, "is missing");
  }
  TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(path));
  TYLLM_ASSIGN(Record record, format::FromJson<Record>(json, path.string()));
  if (record.model != preparation.model_digest || record.options != preparation.options) {
    return MissingPart(path, "is of another model or other options");
  }
  return record;
}

}  // namespace

std::vector<Path> FilesOfProgram(const plan::ProgramId& program, std::int64_t die, bool compiled,
                                 bool keeps_source) {
  std::vector<Path> files;
  if (compiled) {
    files.push_back(artifact::ProgramObject(program, die));
  }
  if (keeps_source) {
    files.push_back(artifact::ProgramSource(program, die));
  }
  files.push_back(artifact::BindingParams(die, program.bucket));
  files.push_back(artifact::ConstantParams(die, program.bucket));
  files.push_back(artifact::CommonParams(die));
  return files;
}

std::vector<Path> VisualFilesOfDie(const Preparation& preparation, std::int64_t die) {
  const std::string& signature = preparation.tower->config.signature;
  const std::int64_t max_kv = preparation.options.max_kv;
  const std::string number = std::to_string(die);
  std::vector<Path> files = {artifact::TowerObject(die)};
  if (preparation.options.keep_source) {
    files.push_back(artifact::TowerSource(die));
  }
  files.insert(files.end(), {artifact::TowerParams(die),
                             artifact::TowerFile(signature, "buffer_config_" + number + ".json"),
                             artifact::TowerFile(signature, number + ".onnx"),
                             artifact::TowerFile(signature, number + ".onnx.data"),
                             artifact::MropeFile(max_kv, "die" + number + ".so"),
                             artifact::MropeFile(max_kv, "die" + number + ".params"),
                             artifact::MropeFile(max_kv, number + ".onnx"),
                             artifact::MropeFile(max_kv, "buffer_config_" + number + ".json")});
  return files;
}

Result<DieRecords> DieRecords::Read(const Preparation& preparation, DieDigests digests,
                                    const Path& root) {
  DieRecords records;
  TYLLM_TRY(records.AddPrograms(preparation, root));
  TYLLM_TRY(records.AddVisual(preparation, root));
  if (digests == DieDigests::kToBeChecked) {
    for (const auto& [path, entry] : records.files_) {
      TYLLM_TRY(records.Describe(root, path).status());
    }
  }
  for (std::int64_t die = 0; die < preparation.options.dies; ++die) {
    for (const Path& weights : {artifact::CommonParams(die), artifact::TowerParams(die)}) {
      if (records.Has(weights)) {
        records.known_.insert(weights.generic_string());
      }
    }
  }
  return records;
}

Status DieRecords::AddPrograms(const Preparation& preparation, const Path& root) {
  for (std::int64_t die = 0; die < preparation.options.dies; ++die) {
    for (const plan::ProgramId& program : preparation.programs) {
      const Path path = artifact::ProgramRecordFile(program, die);
      TYLLM_ASSIGN(const auto record,
                   ReadRecord<artifact::ProgramRecord>(preparation, root / path));
      if (plan::ProgramId{record.kind, record.bucket} != program || record.die != die) {
        return MissingPart(root / path, "is of another program or die than its name says");
      }
      const bool compiled = record.toolchain.compiler != kNoCompiler;
      TYLLM_TRY(AddToolchain(record.toolchain, root / path));
      TYLLM_TRY(AddFiles(
          record.files,
          FilesOfProgram(program, die, compiled, !compiled || preparation.options.keep_source),
          root, path));
    }
  }
  return OkStatus();
}

Status DieRecords::AddVisual(const Preparation& preparation, const Path& root) {
  if (!preparation.tower) {
    return OkStatus();
  }
  for (std::int64_t die = 0; die < preparation.options.dies; ++die) {
    const Path path = artifact::TowerRecordFile(die);
    TYLLM_ASSIGN(const auto record, ReadRecord<artifact::VisualRecord>(preparation, root / path));
    if (record.die != die) {
      return MissingPart(root / path, "is of another die than its name says");
    }
    TYLLM_TRY(AddToolchain(record.toolchain, root / path));
    TYLLM_TRY(AddFiles(record.files, VisualFilesOfDie(preparation, die), root, path));
  }
  return CheckMrope(preparation, root);
}

/// What made the programs must be the same everywhere.
Status DieRecords::AddToolchain(const artifact::Toolchain& toolchain, const Path& record) {
  if (!records_.empty() && toolchain != toolchain_) {
    return MissingPart(record, "names another compiler or version of tyllm than the dies before");
  }
  toolchain_ = toolchain;
  return OkStatus();
}

Status DieRecords::AddFiles(const std::vector<artifact::FileEntry>& files,
                            const std::vector<Path>& expected, const Path& root,
                            const Path& record) {
  const auto is_named = [](const artifact::FileEntry& file, const Path& path) {
    return file.path == path.generic_string();
  };
  if (!std::ranges::equal(files, expected, is_named)) {
    return MissingPart(root / record, "does not name the files that its die has");
  }
  records_.insert(record.generic_string());
  for (const artifact::FileEntry& file : files) {
    std::error_code error;
    if (fs::file_size(root / file.path, error) != file.bytes || error) {
      return MissingPart(root / file.path, "is missing or has another size than its record says");
    }
    if (!files_.emplace(file.path, file).second && files_.at(file.path) != file) {
      return MissingPart(root / record,
                         "says something else of " + file.path + " than the records before");
    }
  }
  return OkStatus();
}

/// The same program with the same tables runs on every die.
Status DieRecords::CheckMrope(const Preparation& preparation, const Path& root) const {
  for (std::int64_t die = 1; die < preparation.options.dies; ++die) {
    for (const char* const extension : {".so", ".params"}) {
      const auto of = [&](std::int64_t number) {
        return artifact::MropeFile(preparation.options.max_kv,
                                   "die" + std::to_string(number) + extension);
      };
      if (files_.at(of(die).generic_string()).sha256 != files_.at(of(0).generic_string()).sha256) {
        return MissingPart(root / of(die), "is not that of die 0");
      }
    }
  }
  return OkStatus();
}

bool DieRecords::Has(const Path& file) const {
  return files_.contains(file.generic_string()) || records_.contains(file.generic_string());
}

Result<artifact::FileEntry> DieRecords::Describe(const Path& root, const Path& file) const {
  const auto recorded = files_.find(file.generic_string());
  if (known_.contains(file.generic_string())) {
    return recorded->second;
  }
  TYLLM_ASSIGN(artifact::FileEntry entry, artifact::DescribeFile(root, file));
  if (recorded != files_.end() && entry != recorded->second) {
    return MissingPart(root / file, "is not what its record says");
  }
  return entry;
}

}  // namespace tyllm::compile
