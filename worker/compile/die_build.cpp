// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/die_build.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "common/base/guarded.h"
#include "worker/artifact/layout.h"
#include "worker/compile/die_records.h"
#include "worker/compile/finished_params.h"
#include "worker/compile/object_builder.h"
#include "worker/compile/packed_parts.h"
#include "worker/compile/visual/visual_parts.h"
#include "worker/compile/weight_cache.h"
#include "worker/compile/weights.h"

namespace tyllm::compile {
namespace {

/// A program to be made for the dies that share its source.
struct SharedProgram {
  const GeneratedProgram* generated = nullptr;
  std::vector<std::pair<std::int64_t, const PlannedProgram*>> users;  ///< die and its plan
};

/// Builds dies below a root folder.
class DieBuilder {
 public:
  DieBuilder(FileSystem& files, const CompileRequest& request, const Preparation& preparation,
             const Path& root, const Path& scratch, ThreadPool& pool,
             domain::ProgressSink& progress)
      : files_(files),
        request_(request),
        preparation_(preparation),
        root_(root),
        scratch_(scratch),
        pool_(pool),
        progress_(progress),
        finished_(files, root) {}

  Result<BuildCounts> Build(const std::vector<std::int64_t>& dies) {
    for (const std::int64_t die : dies) {
      TYLLM_ASSIGN(planned_[die], preparation_.Plan(die));
    }
    TYLLM_TRY(CreateFolders());
    TYLLM_TRY(WriteParams());
    TYLLM_TRY(BuildPrograms());
    TYLLM_TRY(
        BuildVisualDies(files_, request_, preparation_, dies, root_, scratch_, pool_, progress_));
    return counts_;
  }

 private:
  Status CreateFolders() {
    for (const std::int64_t bucket : preparation_.options.seq_lens) {
      const Path file = root_ / artifact::BindingParams(0, bucket);
      TYLLM_TRY(files_.CreateDirectories(file.parent_path()));
    }
    return files_.CreateDirectories(scratch_);
  }

  Status WriteParams() {
    WeightCache cache(files_, request_.cache.empty() ? Path() : request_.cache / "weights");
    const PackedParts parts(files_, scratch_ / "packing");
    std::vector<CommonTarget> targets;
    std::vector<std::pair<Path, std::string>> missing;  // files and their keys
    ExpectRecorded();
    for (const auto& [die, programs] : planned_) {
      const plan::Schedule& schedule = programs.front().schedule;
      const Path path = artifact::CommonParams(die);
      const std::uint64_t bytes = artifact::LayOut(CommonSpecs(schedule)).file_bytes;
      TYLLM_ASSIGN(const auto finished, finished_.Find(path, bytes));
      if (finished) {
        params_[path] = *finished;
      } else {
        const std::string key = WeightCache::KeyOf(preparation_, schedule);
        if (const std::optional<std::string> sha256 = cache.Take(key, root_ / path)) {
          params_[path] = {path.generic_string(), bytes, *sha256};
          TYLLM_TRY(finished_.Keep(params_[path]));
        } else {
          TYLLM_ASSIGN(const Path unfinished, parts.PlaceOf(path));
          const auto keep = [&parts, path, key](const artifact::WrittenPart& part) {
            return parts.Keep(path, key, part);
          };
          targets.push_back({.path = root_ / path,
                             .schedule = &schedule,
                             .unfinished = unfinished,
                             .written = parts.Find(path, key),
                             .keep = keep});
          missing.emplace_back(path, key);
        }
      }
      for (const std::int64_t bucket : preparation_.options.seq_lens) {
        TYLLM_TRY(
            WriteConstantParams(files_, root_ / artifact::ConstantParams(die, bucket), schedule));
        TYLLM_TRY(
            WriteBindingParams(files_, root_ / artifact::BindingParams(die, bucket), schedule));
      }
    }
    counts_.params_written = std::ssize(targets);
    TYLLM_ASSIGN(
        const std::vector<std::string> digests,
        WriteCommonParams(files_, preparation_.model.checkpoint, targets, pool_, progress_));
    for (std::size_t i = 0; i < digests.size(); ++i) {
      const auto& [path, key] = missing[i];
      const std::uint64_t bytes = artifact::LayOut(CommonSpecs(*targets[i].schedule)).file_bytes;
      params_[path] = {path.generic_string(), bytes, digests[i]};
      TYLLM_TRY(finished_.Keep(params_[path]));
      cache.Keep(key, root_ / path, digests[i]);
    }
    cache.Prune();
    return OkStatus();
  }

  /// What the records of finished programs say of their dies' weights.
  void ExpectRecorded() {
    for (const auto& [die, programs] : planned_) {
      const std::string common = artifact::CommonParams(die).generic_string();
      for (const PlannedProgram& program : programs) {
        const auto record = ReadRecord(die, program);
        if (!record) {
          continue;
        }
        for (const artifact::FileEntry& file : record->files) {
          if (file.path == common) {
            finished_.Expect(file);
          }
        }
      }
    }
  }

  Status BuildPrograms() {
    TYLLM_TRY(DescribeParams());
    TYLLM_ASSIGN(const std::vector<SharedProgram> programs, Missing());
    counts_.distinct_sources = std::ssize(programs);
    ObjectBuilder builder(files_, preparation_.compiler, preparation_.options.target_cpu, scratch_,
                          request_.cache);
    if (compiles()) {
      std::vector<const GeneratedProgram*> expected;
      for (const SharedProgram& program : programs) {
        expected.push_back(program.generated);
      }
      builder.Expect(expected);
    }
    Guarded<std::int64_t> done(std::int64_t{0});
    std::vector<Status> statuses(programs.size());
    ThreadPool compilers(CompilersThatFit(pool_.threads()));
    compilers.ParallelFor(std::ssize(programs), [&](std::int64_t i) {
      const SharedProgram& program = programs[static_cast<std::size_t>(i)];
      statuses[static_cast<std::size_t>(i)] = BuildShared(builder, program);
      auto view = done.Lock();
      ++*view;
      progress_.Report({"compile", *view, std::ssize(programs), "programs", ""});
    });
    for (Status& status : statuses) {
      TYLLM_TRY(std::move(status));
    }
    counts_.cached = builder.from_cache();
    counts_.interpreted = !compiles();
    return OkStatus();
  }

  /// Programs that no record says are finished, those with the same source together.
  Result<std::vector<SharedProgram>> Missing() {
    std::map<std::string, SharedProgram> by_source;
    for (const auto& [die, programs] : planned_) {
      for (const PlannedProgram& program : programs) {
        ++counts_.programs;
        if (IsFinished(die, program)) {
          ++counts_.programs_kept;
          continue;
        }
        SharedProgram& shared = by_source[program.generated.digest];
        shared.generated = &program.generated;
        shared.users.emplace_back(die, &program);
      }
    }
    std::vector<SharedProgram> programs;
    for (auto& [digest, program] : by_source) {
      programs.push_back(std::move(program));
    }
    return programs;
  }

  /// Without a compiler the source stands for the program, which is interpreted.
  bool compiles() const { return preparation_.compiler.program != kNoCompiler; }

  bool keeps_source() const { return preparation_.options.keep_source || !compiles(); }

  Status BuildShared(const ObjectBuilder& builder, const SharedProgram& program) const {
    std::string object;
    if (compiles()) {
      TYLLM_ASSIGN(object, builder.Build(*program.generated));
    }
    for (const auto& [die, planned] : program.users) {
      const plan::ProgramId& id = planned->schedule.program;
      if (compiles()) {
        TYLLM_TRY(WriteFileAtomically(files_, root_ / artifact::ProgramObject(id, die), object));
      }
      if (keeps_source()) {
        TYLLM_TRY(WriteFileAtomically(files_, root_ / artifact::ProgramSource(id, die),
                                      planned->generated.source));
      }
      TYLLM_ASSIGN(const artifact::ProgramRecord record, RecordOf(die, *planned));
      TYLLM_TRY(WriteFileAtomically(files_, root_ / artifact::ProgramRecordFile(id, die),
                                    format::PrettyJson(format::ToJson(record))));
    }
    return OkStatus();
  }

  /// Digests of the parameter files, which all programs of a die name in their records.
  Status DescribeParams() {
    for (const auto& [die, programs] : planned_) {
      TYLLM_TRY(DescribeParam(artifact::CommonParams(die)));
      for (const std::int64_t bucket : preparation_.options.seq_lens) {
        TYLLM_TRY(DescribeParam(artifact::ConstantParams(die, bucket)));
        TYLLM_TRY(DescribeParam(artifact::BindingParams(die, bucket)));
      }
    }
    return OkStatus();
  }

  Status DescribeParam(const Path& path) {
    if (params_.contains(path)) {
      return OkStatus();  // its bytes went through this process a moment ago
    }
    TYLLM_ASSIGN(params_[path], artifact::DescribeFile(root_, path));
    return OkStatus();
  }

  /// What the record of a finished program says.
  Result<artifact::ProgramRecord> RecordOf(std::int64_t die, const PlannedProgram& planned) const {
    const plan::ProgramId& id = planned.schedule.program;
    artifact::ProgramRecord record;
    record.kind = id.kind;
    record.bucket = id.bucket;
    record.die = die;
    record.model = preparation_.model_digest;
    record.plan_digest = planned.generated.digest;
    record.toolchain = preparation_.toolchain;
    record.options = preparation_.options;
    for (const Path& path : FilesOfProgram(id, die, compiles(), keeps_source())) {
      const auto known = params_.find(path);
      if (known != params_.end()) {
        record.files.push_back(known->second);
      } else {
        TYLLM_ASSIGN(artifact::FileEntry file, artifact::DescribeFile(root_, path));
        record.files.push_back(std::move(file));
      }
    }
    return record;
  }

  /// The record of a program, if there is one that can be read.
  std::optional<artifact::ProgramRecord> ReadRecord(std::int64_t die,
                                                    const PlannedProgram& planned) const {
    const Path path = root_ / artifact::ProgramRecordFile(planned.schedule.program, die);
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
      return std::nullopt;
    }
    const Result<format::Json> json = format::ReadJsonFile(path);
    if (!json.ok()) {
      return std::nullopt;
    }
    auto record = format::FromJson<artifact::ProgramRecord>(*json, path.string());
    return record.ok() ? std::optional(*std::move(record)) : std::nullopt;
  }

  /// Whether there is a record, and it says what one of a program made now would say.
  bool IsFinished(std::int64_t die, const PlannedProgram& planned) const {
    const auto found = ReadRecord(die, planned);
    if (!found) {
      return false;
    }
    const Result<artifact::ProgramRecord> expected = RecordOf(die, planned);
    return expected.ok() && *found == *expected;
  }

  FileSystem& files_;
  const CompileRequest& request_;
  const Preparation& preparation_;
  const Path& root_;
  const Path& scratch_;
  ThreadPool& pool_;
  domain::ProgressSink& progress_;
  FinishedParams finished_;
  std::map<std::int64_t, std::vector<PlannedProgram>> planned_;
  std::map<Path, artifact::FileEntry> params_;
  BuildCounts counts_;
};

}  // namespace

Result<BuildCounts> BuildDies(FileSystem& files, const CompileRequest& request,
                              const Preparation& preparation, const std::vector<std::int64_t>& dies,
                              const Path& root, const Path& scratch, ThreadPool& pool,
                              domain::ProgressSink& progress) {
  return DieBuilder(files, request, preparation, root, scratch, pool, progress).Build(dies);
}

}  // namespace tyllm::compile
