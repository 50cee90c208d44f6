// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/directory_size.h"

#include <filesystem>
#include <map>
#include <set>

#include "worker/artifact/npy.h"
#include "worker/artifact/visual_layout.h"
#include "worker/compile/golden.h"
#include "worker/compile/object_builder.h"
#include "worker/compile/tokenizer_files.h"
#include "worker/compile/visual/mrope_build.h"
#include "worker/compile/visual/tower_source.h"
#include "worker/compile/visual/tower_weights.h"
#include "worker/compile/weights.h"
#include "worker/model/model_files.h"

namespace tyllm::compile {
namespace {

/// Of a program that was not compiled yet: as clang 19 makes them, with line tables twice that.
constexpr std::uint64_t kObjectBytes = 75'000;
/// ckpt_*.json, and what manifest.json has of a program's files.
constexpr std::uint64_t kRecordBytes = 2'600;
/// buffer_config.json, for each program of each die; the rest of manifest.json and
/// verification.json.
constexpr std::uint64_t kDescribedBytes = 4'700;
constexpr std::uint64_t kReportBytes = 4'000;
constexpr std::uint64_t kFloat = 4;
constexpr std::uint64_t kHalf = 2;

std::uint64_t FileBytes(const Path& path) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  return error ? 0 : bytes;
}

class Sum {
 public:
  Sum(const Preparation& preparation, const ObjectCache& objects)
      : preparation_(preparation), objects_(objects) {}

  Result<DirectorySize> Take() {
    for (std::int64_t die = 0; die < preparation_.options.dies; ++die) {
      TYLLM_ASSIGN(const std::vector<PlannedProgram> programs, preparation_.Plan(die));
      AddDie(programs);
    }
    const Path& model = preparation_.model.checkpoint.directory();
    TYLLM_ASSIGN(const std::vector<Path> files, model::FindModelFiles(model));
    size_.model = model::BytesOfFiles(model, files);
    AddTower();
    AddFiles();
    AddTables();
    const std::int64_t max_kv = preparation_.options.max_kv;
    size_.around +=
        kReportBytes + static_cast<std::uint64_t>(GoldenBytes(preparation_.model.shape(), max_kv));
    return std::move(size_);
  }

 private:
  bool compiles() const { return preparation_.compiler.program != kNoCompiler; }

  void AddDie(const std::vector<PlannedProgram>& programs) {
    size_.common.push_back(artifact::LayOut(CommonSpecs(programs.front().schedule)).file_bytes);
    std::set<std::int64_t> buckets;
    for (const PlannedProgram& program : programs) {
      AddProgram(program.generated);
      size_.programs += kRecordBytes;
      size_.around += kDescribedBytes;
      if (buckets.insert(program.schedule.program.bucket).second) {
        size_.programs += artifact::LayOut(ConstantSpecs(program.schedule)).file_bytes +
                          Bindings(program.schedule).size() * sizeof(std::uint64_t) + 100;
      }
    }
  }

  void AddProgram(const GeneratedProgram& program) {
    if (!sources_.insert(program.digest).second) {
      return;
    }
    ++size_.distinct_sources;
    const bool keeps = preparation_.options.keep_source;
    if (compiles()) {
      const auto cached = objects_.SizeOf(ObjectKey(preparation_.toolchain, program));
      size_.cached_sources += cached ? 1 : 0;
      size_.programs += cached.value_or(keeps ? 2 * kObjectBytes : kObjectBytes);
    }
    size_.programs += keeps || !compiles() ? program.source.size() : 0;
  }

  /// Parameters, and as many bytes of weights beside each die's graph.
  void AddTower() {
    if (!preparation_.tower) {
      return;
    }
    const TowerPlan& plan = *preparation_.tower;
    for (const plan::TowerSchedule& schedule : plan.schedules) {
      size_.tower += 2 * artifact::LayOut(TowerSpecs(schedule)).file_bytes;
      AddProgram(GenerateTower(schedule, preparation_.options.target_cpu));
    }
    AddProgram(GenerateMrope(preparation_.options.max_kv, preparation_.model.shape().head_size,
                             preparation_.options.target_cpu));
    AddVisualGolden(plan);
  }

  /// Pixels, features, some rows of logits; and what programs take besides pixels.
  void AddVisualGolden(const TowerPlan& plan) {
    const model::VisionShape& shape = plan.tower.shape;
    const auto patches = static_cast<std::uint64_t>(plan.config.grid.patches());
    const auto tokens = static_cast<std::uint64_t>(plan.config.tokens);
    constexpr std::uint64_t kLogits = 1 << 20;
    size_.around += kHalf * patches * static_cast<std::uint64_t>(shape.patch_values());
    size_.around += kFloat * tokens * static_cast<std::uint64_t>(shape.out_width) *
                    (1 + shape.deepstack.size());
    size_.around += kFloat * kLogits;
    size_.around += kFloat * patches * static_cast<std::uint64_t>(shape.width);
  }

  void AddFiles() {
    std::map<Path, std::uint64_t> files;
    const model::Checkpoint& checkpoint = preparation_.model.checkpoint;
    for (const Path& name : checkpoint.PassengerFiles()) {
      files[name] = FileBytes(checkpoint.directory() / name);
    }
    for (const Path& name : TokenizerFiles(preparation_.source_tokenizer)) {
      files[name] = FileBytes(preparation_.source_tokenizer / name);
    }
    for (const auto& [name, bytes] : files) {
      size_.tokenizer += bytes;
    }
  }

  void AddTables() {
    const model::ModelShape& shape = preparation_.model.shape();
    if (preparation_.options.embedding_as_input) {
      size_.tables += artifact::NpyHeader(shape.vocabulary, shape.width).size() +
                      kHalf * static_cast<std::uint64_t>(shape.vocabulary * shape.width);
    }
  }

  const Preparation& preparation_;
  const ObjectCache& objects_;
  std::set<std::string> sources_;
  DirectorySize size_;
};

}  // namespace

std::uint64_t DirectorySize::parameters() const {
  std::uint64_t bytes = tower;
  for (const std::uint64_t die : common) {
    bytes += die;
  }
  return bytes;
}

std::uint64_t DirectorySize::total() const {
  return parameters() + programs + tokenizer + tables + around;
}

Result<DirectorySize> SizeOf(const Preparation& preparation, const ObjectCache& objects) {
  return Sum(preparation, objects).Take();
}

}  // namespace tyllm::compile
