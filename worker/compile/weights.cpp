// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <future>
#include <optional>

#include "common/base/raw_vector.h"
#include "worker/compile/generate.h"
#include "worker/compile/half_rows.h"
#include "worker/die/packing.h"
#include "worker/die/row_lanes.h"
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

/// A tensor of the model, opened for packing.
class WeightSource {
 public:
  static Result<WeightSource> Open(const model::Checkpoint& checkpoint, const PackedWeight& bound) {
    WeightSource source;
    switch (bound.weight->kind) {
      case WeightKind::kVector:
      case WeightKind::kFrequencies: {
        TYLLM_ASSIGN(source.vector_, checkpoint.ReadFloats(bound.name));
        break;
      }
      case WeightKind::kInt4: {
        TYLLM_ASSIGN(source.quantized_, checkpoint.ReadQuantized(bound.name));
        break;
      }
      case WeightKind::kInt8:
      case WeightKind::kHalf: {
        TYLLM_ASSIGN(source.halves_, HalfRows::Open(checkpoint, bound.name));
        break;
      }
    }
    return source;
  }

  /// Part of a vector.
  std::span<const std::byte> Vector(const plan::Range& columns) const {
    return std::as_bytes(std::span(vector_).subspan(static_cast<std::size_t>(columns.begin),
                                                    static_cast<std::size_t>(columns.size())));
  }

  Status PackBlock(const Weight& weight, std::int64_t block, std::span<std::byte> out) const {
    return weight.kind == WeightKind::kInt4 ? PackInt4(weight, block, out)
                                            : PackFloat(weight, block, out);
  }

 private:
  Status PackInt4(const Weight& weight, std::int64_t block, std::span<std::byte> out) const {
    const die::QuantizedSource matrix{quantized_.rows, quantized_.columns, quantized_.group,
                                      quantized_.q,    quantized_.zero,    quantized_.scale};
    const die::MatrixPart part{weight.rows.begin, weight.rows.size(), weight.columns.begin,
                               weight.columns.size(), weight.group};
    die::PackLinear4Block(matrix, part, block, out);
    return OkStatus();
  }

  Status PackFloat(const Weight& weight, std::int64_t block, std::span<std::byte> out) const {
    const std::int64_t columns = weight.columns.size();
    const std::int64_t rows =
        std::min<std::int64_t>(die::kRowBlock, weight.rows.size() - block * die::kRowBlock);
    RawVector<std::uint16_t> halves(static_cast<std::size_t>(rows * columns));
    for (std::int64_t r = 0; r < rows; ++r) {
      TYLLM_TRY(halves_->Read(weight.rows.begin + block * die::kRowBlock + r, weight.columns.begin,
                              std::span(halves).subspan(static_cast<std::size_t>(r * columns),
                                                        static_cast<std::size_t>(columns))));
    }
    if (weight.kind == WeightKind::kInt8) {
      die::PackLinear8Block(halves, rows, columns, weight.group, out);
    } else {
      die::PackF16Block(halves, rows, columns, columns, out);
    }
    return OkStatus();
  }

  std::vector<float> vector_;
  model::QuantizedMatrix quantized_;
  std::optional<HalfRows> halves_;
};

/// Row blocks that are packed at once.
constexpr std::int64_t kBlocksAtOnce = 256;

/// Packs row blocks `first`.. into `out` on all threads.
Status PackBlocks(const WeightSource& source, const Weight& weight, std::int64_t first,
                  std::int64_t count, ThreadPool& pool, RawVector<std::byte>& out) {
  const auto bytes = static_cast<std::size_t>(plan::RowBlockBytes(weight));
  out.resize(bytes * static_cast<std::size_t>(count));
  std::vector<Status> statuses(static_cast<std::size_t>(count));
  pool.ParallelFor(count, [&](std::int64_t i) {
    const auto index = static_cast<std::size_t>(i);
    statuses[index] =
        source.PackBlock(weight, first + i, std::span(out).subspan(index * bytes, bytes));
  });
  for (Status& status : statuses) {
    TYLLM_TRY(std::move(status));
  }
  return OkStatus();
}

/// The files of several dies, written side by side.
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
      return std::async(std::launch::async,
                        [&, i] { return WeightSource::Open(checkpoint_, all[i]); });
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
      TYLLM_TRY(writers_[t].Finish());
      digests.push_back(writers_[t].sha256());
      TYLLM_TRY(files_.Rename(Unfinished(targets_[t].path), targets_[t].path));
    }
    progress_.Report({"pack", total_, total_, "bytes", ""});
    return digests;
  }

 private:
  static Path Unfinished(Path path) { return path += ".tmp"; }

  Status Create() {
    for (const CommonTarget& target : targets_) {
      std::vector<ParamSpec> specs = CommonSpecs(*target.schedule);
      total_ += static_cast<std::int64_t>(artifact::LayOut(specs).file_bytes);
      weights_.push_back(PackedWeights(*target.schedule));
      next_.push_back(0);
      TYLLM_ASSIGN(
          artifact::ParamsWriter writer,
          artifact::ParamsWriter::Create(files_, Unfinished(target.path), std::move(specs)));
      writers_.push_back(std::move(writer));
    }
    return OkStatus();
  }

  /// The weights of the die that has most: one without heads lacks those of the attention, and
  /// those that it has stand in the same order.
  std::vector<PackedWeight> AllWeights() const {
    return *std::max_element(weights_.begin(), weights_.end(),
                             [](const auto& a, const auto& b) { return a.size() < b.size(); });
  }

  Status WriteWeight(const PackedWeight& weight, const WeightSource& source) {
    for (std::size_t t = 0; t < targets_.size(); ++t) {
      const std::size_t index = next_[t];
      if (index == weights_[t].size() || weights_[t][index].name != weight.name) {
        continue;
      }
      ++next_[t];
      const PackedWeight& bound = weights_[t][index];
      TYLLM_TRY(bound.weight->kind == WeightKind::kVector
                    ? Append(t, index, source.Vector(bound.weight->columns), bound.name)
                    : WriteMatrix(t, index, source));
    }
    return OkStatus();
  }

  /// While some blocks are hashed and written, the next ones are packed.
  Status WriteMatrix(std::size_t target, std::size_t index, const WeightSource& source) {
    const PackedWeight& bound = weights_[target][index];
    const std::int64_t blocks = die::RowBlocks(bound.weight->rows.size());
    std::future<Status> writing;
    const auto wait = [&] { return writing.valid() ? writing.get() : OkStatus(); };
    for (std::int64_t first = 0; first < blocks; first += kBlocksAtOnce) {
      const std::int64_t count = std::min(kBlocksAtOnce, blocks - first);
      RawVector<std::byte>& packed = packed_[static_cast<std::size_t>(first / kBlocksAtOnce % 2)];
      TYLLM_TRY(PackBlocks(source, *bound.weight, first, count, pool_, packed));
      TYLLM_TRY(wait());
      writing = std::async(std::launch::async, [this, target, index, &bound, &packed] {
        return Append(target, index, packed, bound.name);
      });
      if (bound.weight->kind == WeightKind::kHalf) {
        checkpoint_.Forget(bound.name);  // an embedding table alone may be larger than all else
      }
    }
    return wait();
  }

  Status Append(std::size_t target, std::size_t index, std::span<const std::byte> bytes,
                const std::string& name) {
    TYLLM_TRY(writers_[target].Append(index, bytes));
    done_ += static_cast<std::int64_t>(bytes.size());
    progress_.Report({"pack", done_, total_, "bytes", name});
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
  std::vector<artifact::ParamsWriter> writers_;
  std::vector<std::vector<PackedWeight>> weights_;  ///< [targets]
  std::vector<std::size_t> next_;                   ///< [targets]: weight to be written next
  std::array<RawVector<std::byte>, 2> packed_;
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
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
