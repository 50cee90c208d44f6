// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
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
  /// Of arenas and KV caches.
  Pages pages = Pages::kHuge;
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

  /// Tokens for a session to read.
  struct Feeding;

  /// Feed or FeedEvery of each, with the same bits, but segment by segment: all calls of all
  /// sessions run a segment before any runs the next, and then the pages of that segment's weights
  /// are given back. So weights are read once, however many calls there are, and what is resident
  /// does not grow with the layers. The head runs one die after the other, and only where logits
  /// are wanted. Sessions differ, and are of one artifact; the first one's threads do the work.
  /// `done` hears how many segments are. Observers hear of each call's segments in their order.
  static Result<std::vector<std::vector<float>>> FeedTogether(
      std::span<const Feeding> feedings, const std::function<void(std::size_t)>& done = {});

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
  struct PendingCall;
  class CallsTogether;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct Session::Feeding {
  Session* session = nullptr;
  std::span<const std::int32_t> tokens;
  Rows rows = Rows::kLast;
  /// Tokens that come in calls of their own before the others, which then have a history.
  std::int64_t first = 0;
};

}  // namespace tyllm::simulator
