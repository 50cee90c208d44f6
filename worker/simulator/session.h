// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "worker/simulator/aligned_memory.h"
#include "worker/simulator/chunks.h"
#include "worker/simulator/executor.h"
#include "worker/simulator/loaded_artifact.h"
#include "worker/simulator/seen_sequence.h"

namespace tyllm::simulator {

struct SessionOptions {
  /// Buckets that may be used; empty: all that the artifact has.
  std::vector<std::int64_t> buckets;
  /// Threads for the dies; 0: one a core.
  std::int64_t threads = 0;
};

/// One sequence on the dies: an arena and a KV cache a die. Not thread-safe. The artifact outlives
/// it.
class Session {
 public:
  /// A bucket that the artifact does not have is kInvalidArgument.
  static Result<Session> Open(const LoadedArtifact& artifact, const SessionOptions& options);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// Tokens that are in the cache.
  std::int64_t history() const;
  std::int64_t max_kv() const;

  /// Forgets all tokens.
  void Reset() { Rewind(0); }

  /// Keeps the first `tokens` in the cache, which must be at most history(), and forgets the rest.
  void Rewind(std::int64_t tokens);

  /// Forgets all tokens: those that come now are the sequence `seen` is about. Of a visual language
  /// model only; a default one is text.
  void See(SeenSequence seen);

  /// Appends the tokens and returns the logits [vocabulary] of the last one. Ids out of range are
  /// kInvalidArgument, more tokens than the cache holds kOutOfRange; then nothing is appended.
  Result<std::vector<float>> Feed(std::span<const std::int32_t> tokens);
  /// The same, with the logits of every token: [tokens, vocabulary]. kFailedPrecondition when no
  /// program gives them (no bucket of at most 8).
  Result<std::vector<float>> FeedEvery(std::span<const std::int32_t> tokens);

  /// Called during each Feed from now on, see SegmentObserver. Segments are numbered as in
  /// plan::Schedule::Runs.
  void Observe(SegmentObserver observer);

  /// From now on each Feed adds to `log` what every thread did when (Executor::Record).
  void Record(TaskLog* log);

  /// Threads that the dies run on.
  std::int64_t threads() const;

  /// The calls that the last Feed or FeedEvery made.
  const std::vector<Chunk>& chunks() const;

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tyllm::simulator
