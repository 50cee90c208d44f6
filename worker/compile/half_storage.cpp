// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/half_storage.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "common/base/raw_vector.h"
#include "worker/compile/half_rows.h"
#include "worker/die/linear_f16_in_12.h"
#include "worker/die/packing.h"

namespace tyllm::compile {
namespace {

/// Row blocks that a thread looks at.
constexpr std::int64_t kBlocksOfATask = 16;
/// Tasks between two times that pages are given back.
constexpr std::int64_t kTasksAtOnce = 64;

/// Into so many pieces the row blocks of a sample divide a matrix.
constexpr std::int64_t kSampled = 8;

/// Exceptions are slow: at most one in so many numbers of a row block.
constexpr std::int64_t kNumbersAnException = 128;

std::int64_t MostExceptions(std::int64_t columns) {
  return columns * die::kRowBlock / kNumbersAnException;
}

/// What a die's part of a matrix needs.
class Look {
 public:
  Look(const HalfRows& rows, const plan::Weight& weight) : rows_(rows), weight_(weight) {}

  bool fits() const { return fits_; }

  std::int64_t exceptions() const { return exceptions_; }

  std::int64_t tasks() const {
    return (die::RowBlocks(weight_.rows.size()) + kBlocksOfATask - 1) / kBlocksOfATask;
  }

  /// Of some row blocks all over it.
  void RunSample() {
    const std::int64_t last = die::RowBlocks(weight_.rows.size()) - 1;
    for (std::int64_t i = 0; i <= kSampled && fits_; ++i) {
      RunBlock(last * i / kSampled);
    }
  }

  /// From any thread.
  void Run(std::int64_t task) {
    const std::int64_t end =
        std::min((task + 1) * kBlocksOfATask, die::RowBlocks(weight_.rows.size()));
    for (std::int64_t block = task * kBlocksOfATask; block < end && fits_; ++block) {
      RunBlock(block);
    }
  }

 private:
  void RunBlock(std::int64_t block) {
    const std::int64_t columns = weight_.columns.size();
    const std::int64_t first = block * die::kRowBlock;
    const std::int64_t rows = std::min<std::int64_t>(die::kRowBlock, weight_.rows.size() - first);
    RawVector<std::uint16_t> halves(static_cast<std::size_t>(rows * columns));
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto row = std::span(halves).subspan(static_cast<std::size_t>(r * columns),
                                                 static_cast<std::size_t>(columns));
      if (!rows_.Read(weight_.rows.begin + first + r, weight_.columns.begin, row).ok()) {
        fits_ = false;  // packing says why
        return;
      }
    }
    const std::optional<std::int64_t> needed = die::In12Exceptions(halves, rows, columns);
    if (!needed || *needed > MostExceptions(columns)) {
      fits_ = false;
      return;
    }
    std::int64_t most = exceptions_;
    while (most < *needed && !exceptions_.compare_exchange_weak(most, *needed)) {
    }
  }

  const HalfRows& rows_;
  const plan::Weight& weight_;
  std::atomic<bool> fits_{true};
  std::atomic<std::int64_t> exceptions_{0};
};

/// Whether all dies' parts of a matrix fit, and with room for how many exceptions.
Result<std::optional<std::int64_t>> ExceptionsOf(const model::Checkpoint& checkpoint,
                                                 const std::vector<plan::Weight>& parts,
                                                 Reading reading, ThreadPool& pool) {
  TYLLM_ASSIGN(const HalfRows rows, HalfRows::Open(checkpoint, parts.front().name));
  std::int64_t most = 0;
  for (const plan::Weight& part : parts) {
    if (part.columns.size() % die::kStepColumns != 0) {
      return std::optional<std::int64_t>();
    }
    Look look(rows, part);
    if (reading == Reading::kSample) {
      look.RunSample();
      checkpoint.Forget(part.name);
    }
    for (std::int64_t first = 0; reading == Reading::kAll && first < look.tasks() && look.fits();
         first += kTasksAtOnce) {
      pool.ParallelFor(std::min(kTasksAtOnce, look.tasks() - first),
                       [&](std::int64_t i) { look.Run(first + i); });
      checkpoint.Forget(part.name);
    }
    if (!look.fits()) {
      return std::optional<std::int64_t>();
    }
    most = std::max(most, look.exceptions());
  }
  return std::optional(static_cast<std::int64_t>(die::In12Room(static_cast<std::uint64_t>(most))));
}

}  // namespace

Result<std::map<std::string, std::int64_t>> MatricesIn12Bits(const model::Checkpoint& checkpoint,
                                                             std::span<const plan::Schedule> dies,
                                                             Reading reading, ThreadPool& pool) {
  std::map<std::string, std::vector<plan::Weight>> parts;
  for (const plan::Schedule& schedule : dies) {
    for (const plan::Weight& weight : schedule.weights) {
      if (weight.kind == plan::WeightKind::kHalf) {
        parts[weight.name].push_back(weight);
      }
    }
  }
  std::map<std::string, std::int64_t> found;
  for (const auto& [name, of_dies] : parts) {
    TYLLM_ASSIGN(const std::optional<std::int64_t> exceptions,
                 ExceptionsOf(checkpoint, of_dies, reading, pool));
    if (exceptions) {
      found[name] = *exceptions;
    }
  }
  return found;
}

}  // namespace tyllm::compile
