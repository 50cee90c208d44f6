// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/weights.h"

#include <algorithm>
#include <array>
#include <future>
#include <utility>

#include "common/base/guarded.h"
#include "common/base/raw_vector.h"
#include "worker/compile/generate.h"
#include "worker/compile/weight_source.h"
#include "worker/die/packing.h"
#include "worker/plan/weight_layout.h"

namespace tyllm::compile {
namespace {

using artifact::Element;
using artifact::ParamSpec;
using plan::Schedule;
using plan::Weight;
using plan::WeightId;
using plan::WeightKind;

ParamSpec SpecOf(const PackedWeight& bound) {
  const Weight& weight = *bound.weight;
  if (weight.kind == WeightKind::kVector) {
    return {bound.name, Element::kFloat32, {weight.columns.size()}};
  }
  // A tied table may be there twice, as binary16 for the embedding and as int8 for the head.
  return {
      bound.name + (weight.kind == WeightKind::kInt8 ? ".int8" : ""),
      Element::kUint8,
      {die::RowBlocks(weight.rows.size()), static_cast<std::int64_t>(plan::RowBlockBytes(weight))}};
}

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
    TYLLM_TRY(Create());
    const std::vector<PackedWeight> all = AllWeights();
    const auto open = [&](std::size_t i) {
      return std::async(std::launch::async, [&, i] {
        return WeightSource::Open(checkpoint_, all[i].name, all[i].weight->kind);
      });
    };
    std::future<Result<WeightSource>> upcoming = open(0);
    for (std::size_t i = 0; i < all.size(); ++i) {
      TYLLM_ASSIGN(const WeightSource source, upcoming.get());
      if (i + 1 < all.size()) {
        upcoming = open(i + 1);
      }
      TYLLM_TRY(WriteWeight(all[i], source));
      ForgetBefore(all, i);
    }
    std::vector<std::string> digests;
    for (std::size_t t = 0; t < targets_.size(); ++t) {
      TYLLM_TRY(Wait(t));
      TYLLM_TRY(outputs_[t].writer.Finish());
      digests.push_back(outputs_[t].writer.sha256());
      TYLLM_TRY(files_.Rename(Unfinished(targets_[t].path), targets_[t].path));
    }
    progress_.Report({"pack", total_, total_, "bytes", ""});
    return digests;
  }

 private:
  /// The file of a die.
  struct Output {
    artifact::ParamsWriter writer;
    std::vector<PackedWeight> weights;
    std::size_t next = 0;  ///< weight to be written next
    RawVector<std::byte> packed;
    RawVector<std::byte> written;
    std::future<Status> writing = {};  ///< of `written`
  };

  static Path Unfinished(Path path) { return path += ".tmp"; }

  Status Create() {
    for (const CommonTarget& target : targets_) {
      std::vector<ParamSpec> specs = CommonSpecs(*target.schedule);
      total_ += static_cast<std::int64_t>(artifact::LayOut(specs).file_bytes);
      TYLLM_ASSIGN(
          artifact::ParamsWriter writer,
          artifact::ParamsWriter::Create(files_, Unfinished(target.path), std::move(specs)));
      outputs_.push_back({std::move(writer), PackedWeights(*target.schedule), 0, {}, {}});
    }
    return OkStatus();
  }

  /// The weights of the die that has most: one without heads lacks those of the attention, and
  /// those that it has stand in the same order.
  std::vector<PackedWeight> AllWeights() const {
    return std::max_element(
               outputs_.begin(), outputs_.end(),
               [](const Output& a, const Output& b) { return a.weights.size() < b.weights.size(); })
        ->weights;
  }

  Status WriteWeight(const PackedWeight& weight, const WeightSource& source) {
    std::vector<DieWeight> dies;
    for (std::size_t t = 0; t < outputs_.size(); ++t) {
      Output& output = outputs_[t];
      if (output.next < output.weights.size() && output.weights[output.next].name == weight.name) {
        dies.push_back({t, output.next, output.weights[output.next].weight, 0});
        ++output.next;
      }
    }
    if (weight.weight->kind != WeightKind::kVector) {
      return WriteMatrix(weight.name, source, dies);
    }
    for (const DieWeight& die : dies) {
      TYLLM_TRY(Wait(die.target));
      TYLLM_TRY(Append(die, source.Vector(die.weight->columns), weight.name));
    }
    return OkStatus();
  }

  Status WriteMatrix(const std::string& name, const WeightSource& source,
                     std::vector<DieWeight>& dies) {
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
    auto done = done_.Lock();  // one reports at a time
    *done += static_cast<std::int64_t>(bytes.size());
    progress_.Report({"pack", *done, total_, "bytes", name});
    return OkStatus();
  }

  /// Gives back the pages of a layer when its last weight was written.
  void ForgetBefore(const std::vector<PackedWeight>& weights, std::size_t index) {
    const std::int64_t layer = weights[index].layer;
    const bool is_last = index + 1 == weights.size() || weights[index + 1].layer != layer;
    if (layer < 0) {
      checkpoint_.Forget(weights[index].name);
    } else if (is_last) {
      const Schedule& schedule = *targets_.front().schedule;
      checkpoint_.Forget(schedule.layer_names[static_cast<std::size_t>(layer)] + ".");
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

/// Writes a dictionary that is small enough to be in memory.
Status WriteSmall(FileSystem& files, const Path& path, const std::vector<ParamSpec>& specs,
                  const std::vector<std::span<const std::byte>>& data) {
  Path unfinished = path;
  unfinished += ".tmp";
  TYLLM_ASSIGN(artifact::ParamsWriter writer,
               artifact::ParamsWriter::Create(files, unfinished, specs));
  for (std::size_t i = 0; i < data.size(); ++i) {
    TYLLM_TRY(writer.Append(i, data[i]));
  }
  TYLLM_TRY(writer.Finish());
  return files.Rename(unfinished, path);
}

}  // namespace

std::vector<PackedWeight> PackedWeights(const Schedule& schedule) {
  std::vector<PackedWeight> all;
  const auto add = [&](WeightId id, std::int64_t layer, const Weight& weight) {
    if (weight.kind != WeightKind::kFrequencies) {
      all.push_back(
          {&weight, plan::FullName(schedule, id, layer), layer, schedule.BindingOf(id, layer)});
    }
  };
  const auto globals = static_cast<WeightId>(schedule.weights.size());
  for (WeightId id = 0; id < globals; ++id) {
    add(id, -1, schedule.weights[static_cast<std::size_t>(id)]);
  }
  for (std::int64_t layer = 0; layer < std::ssize(schedule.kind_of_layer); ++layer) {
    const std::int32_t kind = schedule.kind_of_layer[static_cast<std::size_t>(layer)];
    const auto& weights = schedule.layer_kinds[static_cast<std::size_t>(kind)].weights;
    for (std::size_t w = 0; w < weights.size(); ++w) {
      add(globals + static_cast<WeightId>(w), layer, weights[w]);
    }
  }
  return all;
}

std::vector<ParamSpec> CommonSpecs(const Schedule& schedule) {
  std::vector<ParamSpec> specs;
  for (const PackedWeight& bound : PackedWeights(schedule)) {
    specs.push_back(SpecOf(bound));
  }
  return specs;
}

std::vector<ParamSpec> ConstantSpecs(const Schedule& schedule) {
  return {{std::string(plan::kFrequenciesName), Element::kFloat32, {schedule.shape.head_size / 2}},
          {std::string(kVocabularyRangeName), Element::kInt32, {2}}};
}

std::vector<std::uint64_t> Bindings(const Schedule& schedule) {
  std::vector<std::uint64_t> bindings(static_cast<std::size_t>(BindingCount(schedule)));
  const std::vector<PackedWeight> weights = PackedWeights(schedule);
  const artifact::ParamsLayout common = artifact::LayOut(CommonSpecs(schedule));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    bindings[static_cast<std::size_t>(weights[i].binding)] = common.offsets[i];
  }
  const artifact::ParamsLayout constant = artifact::LayOut(ConstantSpecs(schedule));
  for (std::size_t w = 0; w < schedule.weights.size(); ++w) {
    if (schedule.weights[w].kind == WeightKind::kFrequencies) {
      bindings[w] = constant.offsets[0];
    }
  }
  bindings.back() = constant.offsets[1];
  return bindings;
}

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

Status WriteConstantParams(FileSystem& files, const Path& path, const Schedule& schedule) {
  const std::vector<float> frequencies = model::RopeFrequencies(schedule.shape);
  const std::array<std::int32_t, 2> range{
      static_cast<std::int32_t>(schedule.shard.vocabulary.begin),
      static_cast<std::int32_t>(schedule.shard.vocabulary.end)};
  return WriteSmall(files, path, ConstantSpecs(schedule),
                    {std::as_bytes(std::span(frequencies)), std::as_bytes(std::span(range))});
}

Status WriteBindingParams(FileSystem& files, const Path& path, const Schedule& schedule) {
  const std::vector<std::uint64_t> bindings = Bindings(schedule);
  return WriteSmall(files, path, {{"bindings", Element::kUint64, {std::ssize(bindings)}}},
                    {std::as_bytes(std::span(bindings))});
}

}  // namespace tyllm::compile
