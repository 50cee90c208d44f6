// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <future>
#include <optional>
#include <utility>

#include "common/base/guarded.h"
#include "common/base/raw_vector.h"
#include "worker/compile/weight_source.h"
#include "worker/compile/weights.h"
#include "worker/die/packing.h"
#include "worker/plan/weight_layout.h"

namespace tyllm::compile {
namespace {

using artifact::ParamSpec;
using plan::Schedule;
using plan::Weight;
using plan::WeightKind;

/// Row blocks that a thread packs at a time: few enough for its cache, wide enough to read whole
/// cache lines of layouts that run along the outputs.
constexpr std::int64_t kBlocksOfATask = 8;
/// Bytes of a file that are packed while those before them are hashed and written.
constexpr std::int64_t kBytesAtOnce = std::int64_t{8} << 20;

/// A weight as one die has it, and how far it is packed.
struct DieWeight {
  std::size_t target = 0;
  std::size_t index = 0;  ///< in the file
  const Weight* weight = nullptr;
  std::int64_t packed = 0;  ///< row blocks

  std::int64_t Left() const { return die::RowBlocks(weight->rows.size()) - packed; }

  std::int64_t AtOnce() const {
    const std::int64_t tasks =
        kBytesAtOnce / (kBlocksOfATask * static_cast<std::int64_t>(plan::RowBlockBytes(*weight)));
    return std::min(Left(), std::max<std::int64_t>(1, tasks) * kBlocksOfATask);
  }
};

/// The files of several dies, written side by side: all threads pack a piece of each, and while a
/// thread for each file hashes and writes it the next pieces are packed.
class CommonWriter {
 public:
  CommonWriter(FileSystem& files, const model::Checkpoint& checkpoint,
               const std::vector<CommonTarget>& targets, ThreadPool& pool,
               domain::ProgressSink& progress)
      : files_(files),
        checkpoint_(checkpoint),
        targets_(targets),
        pool_(pool),
        progress_(progress) {}

  Result<std::vector<std::string>> Write() {
    TYLLM_TRY(Open());
    const std::vector<Step> steps = Steps();
    const auto open = [&](std::size_t i) {
      return std::async(std::launch::async, [&, i] {
        return WeightSource::Open(checkpoint_, steps[i].weight.name, steps[i].weight.weight->kind);
      });
    };
    std::future<Result<WeightSource>> upcoming;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      TYLLM_ASSIGN(const WeightSource source, (i == 0 ? open(0) : std::move(upcoming)).get());
      if (i + 1 < steps.size()) {
        upcoming = open(i + 1);
      }
      TYLLM_TRY(WriteWeight(steps[i], source));
      ForgetBefore(steps, i);
    }
    std::vector<std::string> digests;
    for (std::size_t t = 0; t < targets_.size(); ++t) {
      TYLLM_TRY(Wait(t));
      TYLLM_TRY(outputs_[t].writer.Finish());
      digests.push_back(outputs_[t].writer.sha256());
      TYLLM_TRY(files_.Rename(Unfinished(targets_[t]), targets_[t].path));
    }
    progress_.Report({"pack", total_, total_, "bytes", ""});
    return digests;
  }

 private:
  /// The file of a die.
  struct Output {
    artifact::ParamsWriter writer;
    std::vector<PackedWeight> weights;
    std::uint64_t kept = 0;  ///< bytes that a later run need not write again
    RawVector<std::byte> packed;
    RawVector<std::byte> written;
    std::future<Status> writing = {};  ///< of `written`
  };

  /// A weight of the model, and the dies whose files still lack it.
  struct Step {
    PackedWeight weight;
    std::vector<DieWeight> dies;
  };

  /// Goes on with what earlier runs left, all files at once, as reading them takes a while.
  Status Open() {
    std::vector<std::optional<Result<artifact::ParamsWriter>>> writers(targets_.size());
    pool_.ParallelFor(std::ssize(targets_), [&](std::int64_t i) {
      const CommonTarget& target = targets_[static_cast<std::size_t>(i)];
      writers[static_cast<std::size_t>(i)].emplace(Open(target));
    });
    auto done = done_.Lock();
    for (std::size_t t = 0; t < targets_.size(); ++t) {
      const Schedule& schedule = *targets_[t].schedule;
      TYLLM_ASSIGN(artifact::ParamsWriter writer, *std::move(writers[t]));
      const std::uint64_t written = writer.bytes();
      *done += static_cast<std::int64_t>(written);
      total_ += static_cast<std::int64_t>(artifact::LayOut(CommonSpecs(schedule)).file_bytes);
      outputs_.push_back({std::move(writer), PackedWeights(schedule), written, {}, {}});
    }
    return OkStatus();
  }

  static Path Unfinished(const CommonTarget& target) {
    return target.unfinished.empty() ? Path(target.path) += ".tmp" : target.unfinished;
  }

  Result<artifact::ParamsWriter> Open(const CommonTarget& target) const {
    const Path unfinished = Unfinished(target);
    std::vector<ParamSpec> specs = CommonSpecs(*target.schedule);
    if (target.written) {
      auto writer = artifact::ParamsWriter::Resume(files_, unfinished, specs, *target.written);
      if (writer.ok()) {
        return writer;
      }
    }
    return artifact::ParamsWriter::Create(files_, unfinished, std::move(specs));
  }

  /// In order of the weights of the die that has most: one without heads lacks those of the
  /// attention, and those that it has stand in the same order.
  std::vector<Step> Steps() const {
    const std::vector<PackedWeight>& all =
        std::max_element(outputs_.begin(), outputs_.end(), [](const Output& a, const Output& b) {
          return a.weights.size() < b.weights.size();
        })->weights;
    std::vector<std::size_t> next(outputs_.size());
    std::vector<Step> steps;
    for (const PackedWeight& weight : all) {
      Step step{weight, {}};
      for (std::size_t t = 0; t < outputs_.size(); ++t) {
        const std::vector<PackedWeight>& weights = outputs_[t].weights;
        if (next[t] < weights.size() && weights[next[t]].name == weight.name) {
          if (next[t] >= outputs_[t].writer.part()->tensors) {
            step.dies.push_back({t, next[t], weights[next[t]].weight, 0});
          }
          ++next[t];
        }
      }
      if (!step.dies.empty()) {
        steps.push_back(std::move(step));
      }
    }
    return steps;
  }

  Status WriteWeight(const Step& step, const WeightSource& source) {
    if (step.weight.weight->kind != WeightKind::kVector) {
      return WriteMatrix(step.weight.name, source, step.dies);
    }
    for (const DieWeight& die : step.dies) {
      TYLLM_TRY(Wait(die.target));
      TYLLM_TRY(Append(die, source.Vector(die.weight->columns), step.weight.name));
    }
    return OkStatus();
  }

  Status WriteMatrix(const std::string& name, const WeightSource& source,
                     std::vector<DieWeight> dies) {
    while (!dies.empty()) {
      TYLLM_TRY(Pack(source, dies));
      for (DieWeight& die : dies) {
        Output& output = outputs_[die.target];
        TYLLM_TRY(Wait(die.target));
        std::swap(output.packed, output.written);
        output.writing = std::async(std::launch::async, [this, die, name, &output] {
          return Append(die, output.written, name);
        });
        die.packed += die.AtOnce();
      }
      if (dies.front().weight->kind != WeightKind::kInt4) {
        checkpoint_.Forget(name);  // an embedding table alone may be larger than all else
      }
      std::erase_if(dies, [](const DieWeight& die) { return die.Left() == 0; });
    }
    return OkStatus();
  }

  /// The next piece of each file.
  Status Pack(const WeightSource& source, const std::vector<DieWeight>& dies) {
    struct Task {
      const DieWeight* die;
      std::int64_t first;
      std::int64_t count;
      std::span<std::byte> out;
    };

    std::vector<Task> tasks;
    for (const DieWeight& die : dies) {
      const auto bytes = static_cast<std::int64_t>(plan::RowBlockBytes(*die.weight));
      RawVector<std::byte>& packed = outputs_[die.target].packed;
      packed.resize(static_cast<std::size_t>(bytes * die.AtOnce()));
      for (std::int64_t i = 0; i < die.AtOnce(); i += kBlocksOfATask) {
        const std::int64_t count = std::min(kBlocksOfATask, die.AtOnce() - i);
        tasks.push_back({&die, die.packed + i, count,
                         std::span(packed).subspan(static_cast<std::size_t>(i * bytes),
                                                   static_cast<std::size_t>(count * bytes))});
      }
    }
    std::vector<Status> statuses(tasks.size());
    pool_.ParallelFor(std::ssize(tasks), [&](std::int64_t i) {
      const Task& task = tasks[static_cast<std::size_t>(i)];
      statuses[static_cast<std::size_t>(i)] =
          source.PackBlocks(*task.die->weight, task.first, task.count, task.out);
    });
    for (Status& status : statuses) {
      TYLLM_TRY(std::move(status));
    }
    return OkStatus();
  }

  /// Until what was packed for a file is in it.
  Status Wait(std::size_t target) {
    std::future<Status>& writing = outputs_[target].writing;
    return writing.valid() ? writing.get() : OkStatus();
  }

  Status Append(const DieWeight& die, std::span<const std::byte> bytes, const std::string& name) {
    TYLLM_TRY(outputs_[die.target].writer.Append(die.index, bytes));
    TYLLM_TRY(KeepPart(targets_[die.target], outputs_[die.target]));
    auto done = done_.Lock();  // one reports at a time
    *done += static_cast<std::int64_t>(bytes.size());
    progress_.Report({"pack", *done, total_, "bytes", name});
    return OkStatus();
  }

  /// Says how far a file came, now and then.
  static Status KeepPart(const CommonTarget& target, Output& output) {
    if (!target.keep || output.writer.bytes() < output.kept + target.part_bytes) {
      return OkStatus();
    }
    const auto part = output.writer.part();
    if (!part) {
      return OkStatus();
    }
    output.kept = part->content.size;
    return target.keep(*part);
  }

  /// Gives back the pages of a layer when its last weight was written.
  void ForgetBefore(const std::vector<Step>& steps, std::size_t index) {
    const PackedWeight& weight = steps[index].weight;
    const bool is_last = index + 1 == steps.size() || steps[index + 1].weight.layer != weight.layer;
    if (weight.layer < 0) {
      checkpoint_.Forget(weight.name);
    } else if (is_last) {
      const Schedule& schedule = *targets_.front().schedule;
      checkpoint_.Forget(schedule.layer_names[static_cast<std::size_t>(weight.layer)] + ".");
    }
  }

  FileSystem& files_;
  const model::Checkpoint& checkpoint_;
  const std::vector<CommonTarget>& targets_;
  ThreadPool& pool_;
  domain::ProgressSink& progress_;
  Guarded<std::int64_t> done_{std::int64_t{0}};
  std::int64_t total_ = 0;
  std::vector<Output> outputs_;
};

}  // namespace

Result<std::vector<std::string>> WriteCommonParams(FileSystem& files,
                                                   const model::Checkpoint& checkpoint,
                                                   const std::vector<CommonTarget>& targets,
                                                   ThreadPool& pool,
                                                   domain::ProgressSink& progress) {
  if (targets.empty()) {
    return std::vector<std::string>();
  }
  return CommonWriter(files, checkpoint, targets, pool, progress).Write();
}

}  // namespace tyllm::compile
