// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/compile_memory.h"

#include <algorithm>

#include "worker/compile/golden.h"
#include "worker/die/part.h"

namespace tyllm::compile {
namespace {

constexpr std::int64_t kFloat = 4;
constexpr std::int64_t kHalf = 2;
constexpr std::int64_t kPage = 4096;
/// Of a weight, that each die packs at once (weights.cpp), and as much again that is being written.
constexpr std::int64_t kPiece = 8'000'000;
/// Rows of a float matrix that are read before their pages are given back (half_storage.cpp;
/// interpreter.cpp has half of them).
constexpr std::int64_t kRowsAtOnce = 16384;
/// Rows that a thread unpacks at once.
constexpr std::int64_t kRowsOfThread = 128;
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

  /// A layer's pages, and what is packed of it.
  std::int64_t Pack() const {
    const std::int64_t pieces = options_.dies * kPiece;
    const std::int64_t mapped = group_ > 0 ? Stored(LayerParameters()) : 2 * pieces;
    return mapped + 2 * pieces + threads_ * kRowsOfThread * kHalf * Widest();
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
  std::int64_t Verify() const {
    const std::int64_t logits = kFloat * shape_.vocabulary * (tokens_ + 4 * Sessions());
    return Sessions() * (States() + Caches() + Arenas()) + logits + Mapped();
  }

 private:
  std::int64_t LayerParameters() const {
    return shape_.width * (2 * shape_.q_columns() + 2 * shape_.kv_columns()) + MlpParameters();
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
  std::int64_t States() const {
    const std::int64_t copies = 1 + (options_.reduce_group > 0 ? options_.dies : 0);
    return kFloat * tokens_ * (copies * (2 * shape_.width + shape_.head_size) + shape_.width);
  }

  /// Pages that tokens touch; each die has whole heads.
  std::int64_t Caches() const {
    const std::int64_t heads = shape_.kv_heads + options_.dies;
    const std::int64_t touched = kHalf * positions_ * shape_.head_size + 2 * kPage;
    return 2 * shape_.layers * heads * touched;
  }

  std::int64_t Arenas() const {
    const std::int64_t largest = options_.seq_lens.empty() ? 1 : options_.seq_lens.back();
    const std::int64_t rows = std::min(largest, tokens_);
    const std::int64_t shared = 3 * shape_.q_columns() + 4 * shape_.intermediate;
    const std::int64_t of_die =
        kFloat * rows * (5 * shape_.width + 3 * shape_.kv_columns()) + 2 * kPage * die::kMaxParts;
    return options_.dies * of_die + kFloat * (rows * shared + kMostLogitRows * shape_.vocabulary);
  }

  /// A layer's larger half on all dies, the head on one, or the pages around rows of the embedding.
  std::int64_t Mapped() const {
    const std::int64_t table = kHalf * shape_.vocabulary * shape_.width;
    const std::int64_t attention = LayerParameters() - MlpParameters();
    return std::max({Stored(MlpParameters()), Stored(attention),
                     (table + options_.dies - 1) / options_.dies,
                     std::min(table, tokens_ * kAround / 2)}) +
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
                           const domain::CompileOptions& options, std::int64_t threads) {
  const Estimate estimate(shape, group, options, threads);
  return kMemoryOfProgram +
         std::max({estimate.Check(), estimate.Pack(), estimate.Golden(), estimate.Verify()});
}

}  // namespace tyllm::compile
