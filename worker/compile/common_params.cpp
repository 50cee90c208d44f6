// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/guarded.h"
#include "worker/compile/pieces_in_order.h"
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

/// Row blocks of 4 bits that a thread packs at a time: so many that it reads whole cache lines of
/// layouts that run along the outputs.
constexpr std::int64_t kBlocksOfAPiece = 8;
/// Of others: what stays in its cache until it is hashed and written.
constexpr std::int64_t kBytesOfAPiece = std::int64_t{384} << 10;
/// Bytes of a file that are written until the pages that they were made of are given back.
constexpr std::int64_t kBytesOfARound = std::int64_t{8} << 20;
/// Bytes between two times that it is told how far all is.
constexpr std::int64_t kBytesOfAReport = std::int64_t{4} << 20;

/// A weight as one die has it, and how far it is packed.
struct DieWeight {
  std::size_t target = 0;
  std::size_t index = 0;  ///< in the file
  const Weight* weight = nullptr;
  std::int64_t packed = 0;  ///< row blocks

  std::int64_t Left() const { return die::RowBlocks(weight->rows.size()) - packed; }

  std::int64_t BlockBytes() const {
    return static_cast<std::int64_t>(plan::RowBlockBytes(*weight));
  }

  /// Row blocks.
  std::int64_t OfAPiece() const {
    return weight->kind == WeightKind::kInt4
               ? kBlocksOfAPiece
               : std::clamp<std::int64_t>(kBytesOfAPiece / BlockBytes(), 1, kBlocksOfAPiece);
  }

  std::int64_t OfARound() const {
    const std::int64_t pieces = kBytesOfARound / (OfAPiece() * BlockBytes());
    return std::min(Left(), std::max<std::int64_t>(1, pieces) * OfAPiece());
  }
};

/// The files of several dies, written side by side: a thread packs a piece of one, and hashes and
/// writes it while it is in its cache, unless another thread is not done with the piece before it.
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
    std::uint64_t kept = 0;   ///< bytes that a later run need not write again
    std::size_t index = 0;    ///< of the matrix that is being written
    std::int64_t pieces = 0;  ///< begun so far
    std::unique_ptr<PiecesInOrder> order = {};
  };

  using Bytes = PiecesInOrder::Bytes;

  struct Done {
    std::int64_t bytes = 0;
    std::int64_t told = 0;
  };

  struct Piece {
    const DieWeight* die;
    std::int64_t number;  ///< of its file
    std::int64_t first;   ///< row block
    std::int64_t count;
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
      done->bytes += static_cast<std::int64_t>(written);
      total_ += static_cast<std::int64_t>(artifact::LayOut(CommonSpecs(schedule)).file_bytes);
      outputs_.push_back({std::move(writer), PackedWeights(schedule), written});
    }
    for (std::size_t t = 0; t < targets_.size(); ++t) {
      outputs_[t].order = std::make_unique<PiecesInOrder>(PiecesAhead(), [this, t](Bytes piece) {
        TYLLM_TRY(Append(t, piece));
        auto spare = spare_.Lock();
        spare->push_back(std::move(piece));
        return OkStatus();
      });
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
    name_ = step.weight.name;
    for (const DieWeight& die : step.dies) {
      outputs_[die.target].index = die.index;
    }
    if (step.weight.weight->kind != WeightKind::kVector) {
      return WriteMatrix(source, step.dies);
    }
    for (const DieWeight& die : step.dies) {
      TYLLM_TRY(Append(die.target, source.Vector(die.weight->columns)));
    }
    return OkStatus();
  }

  Status WriteMatrix(const WeightSource& source, std::vector<DieWeight> dies) {
    while (!dies.empty()) {
      const std::vector<Piece> pieces = NextRound(dies);
      pool_.ParallelFor(std::ssize(pieces), [&](std::int64_t i) {
        Write(source, pieces[static_cast<std::size_t>(i)]);
      });
      for (DieWeight& die : dies) {
        TYLLM_TRY(outputs_[die.target].order->status());
        die.packed += die.OfARound();
      }
      if (dies.front().weight->kind != WeightKind::kInt4) {
        checkpoint_.Forget(name_);  // an embedding table alone may be larger than all else
      }
      std::erase_if(dies, [](const DieWeight& die) { return die.Left() == 0; });
    }
    return OkStatus();
  }

  /// The dies in turns, so that threads write different files.
  std::vector<Piece> NextRound(const std::vector<DieWeight>& dies) {
    std::vector<Piece> pieces;
    const auto left = [&](std::int64_t done) {
      return std::ranges::any_of(
          dies, [&](const DieWeight& die) { return done * die.OfAPiece() < die.OfARound(); });
    };
    for (std::int64_t done = 0; left(done); ++done) {
      for (const DieWeight& die : dies) {
        const std::int64_t begin = done * die.OfAPiece();
        const std::int64_t count = std::min(die.OfAPiece(), die.OfARound() - begin);
        if (count > 0) {
          pieces.push_back({&die, outputs_[die.target].pieces++, die.packed + begin, count});
        }
      }
    }
    return pieces;
  }

  /// Packs a piece, and writes it when it is its turn.
  void Write(const WeightSource& source, const Piece& piece) {
    PiecesInOrder& order = *outputs_[piece.die->target].order;
    if (!order.Begin(piece.number)) {
      return;
    }
    Bytes bytes = SpareBytes();
    bytes.resize(static_cast<std::size_t>(piece.count * piece.die->BlockBytes()));
    Status packed = source.PackBlocks(*piece.die->weight, piece.first, piece.count, bytes);
    if (packed.ok()) {
      order.End(piece.number, std::move(bytes));
    } else {
      order.Fail(std::move(packed));
    }
  }

  /// Of the piece that was written last, which is in a cache.
  Bytes SpareBytes() {
    auto spare = spare_.Lock();
    if (spare->empty()) {
      return {};
    }
    Bytes bytes = std::move(spare->back());
    spare->pop_back();
    return bytes;
  }

  /// So far a file's pieces may be ahead of it: all threads have something to do, and memory is for
  /// a few more pieces than there are threads.
  std::int64_t PiecesAhead() const { return pool_.threads() / std::ssize(targets_) + 2; }

  Status Append(std::size_t target, std::span<const std::byte> bytes) {
    Output& output = outputs_[target];
    TYLLM_TRY(output.writer.Append(output.index, bytes));
    TYLLM_TRY(KeepPart(targets_[target], output));
    auto done = done_.Lock();  // one reports at a time
    done->bytes += static_cast<std::int64_t>(bytes.size());
    if (done->bytes >= done->told + kBytesOfAReport) {
      done->told = done->bytes;
      progress_.Report({"pack", done->bytes, total_, "bytes", name_});
    }
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
  Guarded<Done> done_;
  std::int64_t total_ = 0;
  std::vector<Output> outputs_;
  std::string name_;  ///< of the weight that is being written
  Guarded<std::vector<Bytes>> spare_;
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
