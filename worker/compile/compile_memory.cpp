// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/compile_memory.h"

#include <algorithm>

#include "worker/artifact/params.h"
#include "worker/compile/golden.h"
#include "worker/compile/visual/golden_picture.h"
#include "worker/compile/visual/tower_weights.h"
#include "worker/die/part.h"
#include "worker/simulator/filled_calls.h"
#include "worker/simulator/visual_golden.h"

namespace tyllm::compile {
namespace {

constexpr std::int64_t kFloat = 4;
constexpr std::int64_t kHalf = 2;
constexpr std::int64_t kPage = 4096;
/// Of a weight, that each die packs until its pages are given back, and what a thread makes of it
/// at a time (common_params.cpp).
constexpr std::int64_t kRound = std::int64_t{8} << 20;
constexpr std::int64_t kPiece = std::int64_t{384} << 10;
/// Rows of a float matrix that are read before their pages are given back (half_storage.cpp;
/// interpreter.cpp has half of them).
constexpr std::int64_t kRowsAtOnce = 16384;
/// Rows that a thread unpacks at once.
constexpr std::int64_t kRowsOfThread = 128;
/// Queries that a thread has the scores of at once (tensor/cpu_tower_ops.cpp, cpu_attention.cpp).
constexpr std::int64_t kTowerQueries = 48;
constexpr std::int64_t kTextQueries = 128;
/// Of a picture's golden (golden_picture.cpp).
constexpr std::int64_t kVisualLogits = std::int64_t{1} << 20;
/// Around a mapped range (MappedFile::Forget).
constexpr std::int64_t kAround = 4'194'304;

class Estimate {
 public:
  Estimate(const model::ModelShape& shape, std::int64_t group,
           const domain::CompileOptions& options, std::int64_t threads)
      : shape_(shape),
        group_(group),
        options_(options),
        threads_(threads),
        tokens_(std::min(kMostGoldenTokens, options.max_kv)),
        positions_(std::min(kMostGoldenTokens + kMostGreedyTokens, options.max_kv)) {}

  /// Looking at the numbers of the tables.
  std::int64_t Check() const {
    return kFloat * std::min(kRowsAtOnce, shape_.vocabulary) * shape_.width +
           threads_ * kRowsOfThread * kHalf * shape_.width;
  }

  /// A layer's pages, and the pieces that are packed of it.
  std::int64_t Pack() const {
    const std::int64_t mapped = group_ > 0 ? Stored(LayerParameters()) : 2 * options_.dies * kRound;
    const std::int64_t block = 16 * kHalf * Widest();
    const std::int64_t piece =
        std::max({kPiece, block, group_ > 0 ? Stored(kRowsOfThread * Widest()) : 0});
    const std::int64_t codes = kRowsOfThread * 8 * group_;
    return mapped + (threads_ + 2 * options_.dies) * piece + threads_ * (block + codes);
  }

  /// The reference: one die in float32, and once more where rounding is measured.
  std::int64_t Golden() const {
    const std::int64_t times = Rounds() ? 2 : 1;
    const std::int64_t of_token = 7 * shape_.width + 4 * shape_.q_columns() +
                                  4 * shape_.kv_columns() + 6 * shape_.intermediate +
                                  shape_.vocabulary;
    const std::int64_t cache = 2 * shape_.layers * shape_.kv_columns() * positions_;
    const std::int64_t codes = Largest() + Stored(Largest());
    const std::int64_t matrix =
        std::max(Rows(shape_.vocabulary, shape_.width),
                 group_ > 0 ? codes
                            : std::max(Rows(shape_.intermediate, shape_.width),
                                       Rows(shape_.width, shape_.intermediate)));
    return times * kFloat * (tokens_ * of_token + cache) + matrix +
           threads_ * kRowsOfThread * kFloat * Widest();
  }

  /// The run of all chunkings at once: what each has of its own, the logits, and the pages of the
  /// largest segment.
  std::int64_t Verify(simulator::Engine engine) const {
    return OfSessions(engine) + Mapped(tokens_);
  }

  /// The picture's golden: the tower over a block at a time and the next one that is read.
  std::int64_t Tower(const TowerPlan& plan) const {
    const model::VisionShape& tower = plan.tower.shape;
    const std::int64_t merged = tower.merged_width();
    const std::int64_t layer = 4 * tower.width * tower.width + 3 * tower.width * tower.intermediate;
    const std::int64_t block = std::max(layer, merged * (merged + tower.out_width));
    const std::int64_t table = tower.grid_side * tower.grid_side * tower.width;
    const std::int64_t of_patch =
        2 * tower.patch_values() + 10 * tower.width + 4 * std::max(tower.intermediate, tower.width);
    const std::int64_t scores = threads_ * kTowerQueries * plan.config.grid.patches();
    return kFloat * (3 * block + table + plan.config.grid.patches() * of_patch + scores) +
           Features(plan);
  }

  /// Then the prompt and the answer, over a layer at a time and the next one, and all of the head.
  std::int64_t Answer(const TowerPlan& plan) const {
    const std::int64_t tokens = PromptTokens(plan);
    const std::int64_t of_token = 8 * shape_.width + 4 * shape_.q_columns() +
                                  4 * shape_.kv_columns() + 4 * shape_.intermediate +
                                  shape_.head_size;
    const std::int64_t cache = 2 * 2 * shape_.layers * shape_.kv_columns() * tokens;
    const std::int64_t table = shape_.vocabulary * shape_.width;
    const std::int64_t layers = 2 * kFloat * LayerParameters() + Stored(LayerParameters());
    const std::int64_t weights = kFloat * shape_.parameters() <= simulator::kResidentBytes
                                     ? kFloat * shape_.parameters() + kHalf * table
                                     : kFloat * table + std::max(kHalf * table, layers);
    const std::int64_t scores = threads_ * kTextQueries * tokens;
    return weights + kFloat * (tokens * of_token + cache + scores + 2 * kVisualLogits) +
           Features(plan) + kFloat * plan.config.grid.patches() * plan.tower.shape.patch_values();
  }

  /// Then the run of the whole tower, and of the prompt in all chunkings, after that of the text.
  std::int64_t VerifySeen(const TowerPlan& plan, simulator::Engine engine) const {
    const std::int64_t tokens = PromptTokens(plan);
    const std::int64_t patches = plan.config.grid.patches();
    const model::VisionShape& tower = plan.tower.shape;
    std::int64_t dies = 0;
    for (const plan::TowerSchedule& schedule : plan.schedules) {
      dies += static_cast<std::int64_t>(schedule.arena_bytes +
                                        artifact::LayOut(TowerSpecs(schedule)).file_bytes);
    }
    const std::int64_t inputs =
        patches * (kFloat * (2 * tower.patch_values() + tower.head_size()) + kHalf * tower.width);
    const std::int64_t levels = std::ssize(tower.deepstack);
    const std::int64_t of_session =
        Session(tokens, tokens) +
        kFloat * (tokens * levels * shape_.width + options_.max_kv * (shape_.head_size + 3)) +
        Features(plan);
    return OfSessions(engine) + dies + inputs + 2 * Features(plan) + Sessions() * of_session +
           Mapped(tokens);
  }

 private:
  std::int64_t LayerParameters() const {
    return shape_.width * (2 * shape_.q_columns() + 2 * shape_.kv_columns()) + MlpParameters();
  }

  std::int64_t OfSessions(simulator::Engine engine) const {
    std::int64_t sessions = Sessions();
    std::int64_t bytes = 0;
    if (engine == simulator::Engine::kInterpreter) {
      sessions = 2;
      bytes = sessions * FloatSession();
    } else {
      bytes = sessions * Session(tokens_, positions_);
      for (const std::int64_t bucket : options_.seq_lens) {
        const std::int64_t at_once =
            bucket > 1 ? simulator::TokensBehindOne(shape_, bucket, options_.max_kv, tokens_) : 0;
        const std::int64_t readers = at_once == 0 ? 0 : at_once < tokens_ ? 1 : 2;
        sessions += readers;
        bytes += readers * Session(at_once + 1, at_once + 1);
      }
    }
    return bytes + kFloat * shape_.vocabulary * (tokens_ + 4 * sessions);
  }

  /// That reads so many tokens, with room for so many positions.
  std::int64_t Session(std::int64_t tokens, std::int64_t positions) const {
    return States(tokens) + Caches(positions, kHalf) + Arenas(tokens);
  }

  /// In the interpreter every program has buffers of its own, all of them float32.
  std::int64_t FloatSession() const {
    std::int64_t arenas = 0;
    for (const std::int64_t bucket : options_.seq_lens) {
      const std::int64_t rows = std::min(bucket, tokens_);
      const std::int64_t of_die = rows * (6 * shape_.width + 4 * shape_.kv_columns());
      arenas +=
          2 * kFloat *
          (options_.dies * of_die + rows * (4 * shape_.q_columns() + 5 * shape_.intermediate));
    }
    return States(tokens_) + Caches(positions_, kFloat) + arenas +
           kFloat * kMostLogitRows * shape_.vocabulary;
  }

  static std::int64_t PromptTokens(const TowerPlan& plan) {
    return plan.config.tokens + kQuestionTokens;
  }

  /// Of the picture, as they come and as they are put into the prompt.
  static std::int64_t Features(const TowerPlan& plan) {
    const model::VisionShape& tower = plan.tower.shape;
    return 2 * kFloat * plan.config.tokens * tower.out_width * (1 + std::ssize(tower.deepstack));
  }

  std::int64_t MlpParameters() const { return 3 * shape_.width * shape_.intermediate; }

  std::int64_t Widest() const {
    return std::max({shape_.width, shape_.q_columns(), shape_.intermediate});
  }

  /// Of a float matrix that the reference reads.
  static std::int64_t Rows(std::int64_t rows, std::int64_t columns) {
    return kFloat * std::min(kRowsAtOnce / 2, rows) * columns;
  }

  std::int64_t Largest() const { return shape_.width * Widest(); }

  /// Bytes of weights of a layer: four bits, and scales and zero points of at least 32 numbers.
  std::int64_t Stored(std::int64_t weights) const {
    return group_ > 0 ? weights * 5 / 8 : weights * kHalf;
  }

  bool Rounds() const {
    return options_.head == domain::HeadNumbers::kInt8 ||
           options_.activations == domain::ActivationNumbers::kInt8;
  }

  /// All buckets, each alone, and one for the logits of every token.
  std::int64_t Sessions() const {
    const auto buckets = static_cast<std::int64_t>(options_.seq_lens.size());
    return buckets > 1 ? buckets + 2 : 2;
  }

  /// What calls leave from one segment to the next, and the embeddings that they are given. Dies
  /// that sum in groups differ.
  std::int64_t States(std::int64_t tokens) const {
    const std::int64_t copies = 1 + (options_.reduce_group > 0 ? options_.dies : 0);
    return kFloat * tokens * (copies * (2 * shape_.width + shape_.head_size) + shape_.width);
  }

  /// Pages that tokens touch; each die has whole heads.
  std::int64_t Caches(std::int64_t positions, std::int64_t number) const {
    const std::int64_t heads = shape_.kv_heads + options_.dies;
    const std::int64_t touched = number * positions * shape_.head_size + 2 * kPage;
    return 2 * shape_.layers * heads * touched;
  }

  std::int64_t Arenas(std::int64_t tokens) const {
    const std::int64_t largest = options_.seq_lens.empty() ? 1 : options_.seq_lens.back();
    const std::int64_t rows = std::min(largest, tokens);
    const std::int64_t shared = 3 * shape_.q_columns() + 4 * shape_.intermediate;
    const std::int64_t of_die =
        kFloat * rows * (5 * shape_.width + 3 * shape_.kv_columns()) + 2 * kPage * die::kMaxParts;
    return options_.dies * of_die + kFloat * (rows * shared + kMostLogitRows * shape_.vocabulary);
  }

  /// A layer's larger half on all dies, the head on one, or the pages around rows of the embedding.
  std::int64_t Mapped(std::int64_t tokens) const {
    const std::int64_t table = kHalf * shape_.vocabulary * shape_.width;
    const std::int64_t attention = LayerParameters() - MlpParameters();
    return std::max({Stored(MlpParameters()), Stored(attention),
                     (table + options_.dies - 1) / options_.dies,
                     std::min(table, tokens * kAround / 2)}) +
           options_.dies * kAround;
  }

  /// A program that gives the logits of every token takes at most 8.
  static constexpr std::int64_t kMostLogitRows = 8;

  const model::ModelShape& shape_;
  std::int64_t group_;
  const domain::CompileOptions& options_;
  std::int64_t threads_;
  std::int64_t tokens_;
  std::int64_t positions_;
};

}  // namespace

std::int64_t CompileMemory(const model::ModelShape& shape, std::int64_t group,
                           const domain::CompileOptions& options, std::int64_t threads,
                           simulator::Engine engine, const TowerPlan* tower) {
  const Estimate estimate(shape, group, options, threads);
  std::int64_t most =
      std::max({estimate.Check(), estimate.Pack(), estimate.Golden(), estimate.Verify(engine)});
  if (tower != nullptr) {
    most = std::max({most, estimate.Tower(*tower), estimate.Answer(*tower),
                     estimate.VerifySeen(*tower, engine)});
  }
  return kMemoryOfProgram + most;
}

}  // namespace tyllm::compile
