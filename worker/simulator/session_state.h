// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "worker/simulator/rotations.h"
#include "worker/simulator/session.h"

namespace tyllm::simulator {

/// What a session has; of session.cpp and feed_together.cpp only.
struct Session::State {
  /// A call, and what its spans and pointers are about.
  struct CallInputs {
    std::vector<float> embeddings;
    std::vector<float> deepstack;
    Call call;
  };

  /// Rows of a call's logits, and where they go: [count, vocabulary].
  struct LogitRows {
    std::int64_t first = 0;
    std::int64_t count = 0;
    float* out = nullptr;
  };

  State(const LoadedArtifact& loaded, const SessionOptions& options)
      : artifact(loaded), executor(loaded.dies(), options.threads), pages(options.pages) {}

  const LoadedArtifact& artifact;
  Executor executor;
  Pages pages;
  std::vector<std::int64_t> buckets;
  std::vector<AlignedMemory> arenas;                           ///< [dies], compiled code
  std::vector<AlignedMemory> caches;                           ///< [dies]
  std::vector<std::vector<std::unique_ptr<DieProgram>>> dies;  ///< [programs][dies]
  std::vector<Chunk> chunks;
  std::int64_t history = 0;
  std::optional<Rotations> rotations;  ///< of a visual language model
  SeenSequence seen;                   ///< no positions: text
  SegmentObserver observer;

  Status ChooseBuckets(const std::vector<std::int64_t>& wanted);
  Status AllocateMemory();
  Status MakePrograms();
  Status Check(std::span<const std::int32_t> tokens, Rows rows) const;
  Result<std::vector<float>> Feed(std::span<const std::int32_t> tokens, Rows rows);
  /// What the programs of a chunk of `tokens` behind `before` others are called with.
  CallInputs InputsOf(std::span<const std::int32_t> tokens, std::int64_t before);
  /// Rows of the logits that a die has of the call that its program `program` has just run.
  void GatherLogits(std::size_t program, std::size_t die, const LogitRows& rows) const;
  /// Which of a chunk's rows are wanted, when `done` of `tokens` came before it.
  LogitRows RowsOf(const Chunk& chunk, Rows rows, std::int64_t done, std::int64_t tokens,
                   float* logits) const;
  std::size_t IndexOf(const plan::ProgramId& id) const;
  const plan::Schedule& ScheduleOf(std::size_t program, std::size_t die) const;
};

}  // namespace tyllm::simulator
