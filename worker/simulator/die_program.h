// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/die/abi.h"

namespace tyllm::simulator {

/// The tokens of one call, the same for all dies. Spans live through the call.
struct Call {
  std::span<const std::int32_t> token_ids;  ///< [tokens]
  std::span<const float> embeddings;        ///< [tokens, width], empty when programs take ids
  std::int64_t history = 0;
  const float* rotations = nullptr;  ///< [tokens, head_size], of programs that take them
  const float* deepstack = nullptr;  ///< [levels, tokens, width], or nothing to add

  std::int64_t tokens() const { return static_cast<std::int64_t>(token_ids.size()); }
};

/// How a segment is run, and what dies do together after it.
struct SegmentEnd {
  die::Collective after = die::Collective::kNone;
  std::int64_t columns = 0;  ///< float32 numbers a token
  std::uint32_t phases = 1;  ///< of the segment
  std::int64_t group = 0;    ///< neighbouring dies that do it among themselves; 0: all
  std::span<const std::uint16_t> shares = {};  ///< [phases] as die::Segment has them, or empty
};

/// One program on one die: compiled code, or the interpreter. Begin, then Run for each segment and
/// each of its phases in order, and all parts of it. Parts of one phase and different dies may run
/// at the same time.
class DieProgram {
 public:
  virtual ~DieProgram() = default;
  virtual std::span<const SegmentEnd> segments() const = 0;
  virtual void Begin(const Call& call) = 0;
  virtual void Run(std::size_t segment, std::size_t phase, die::Part part) = 0;

  /// Asks for the first memory that a part will read, while the thread waits for others.
  virtual void Fetch(std::size_t /*segment*/, std::size_t /*phase*/, die::Part /*part*/) {}

  /// What the call leaves in the die's arena from one segment to the next: with these bytes put
  /// back after Begin it goes on where it was, whatever ran in between.
  virtual std::vector<std::span<std::byte>> Lasting() { return {}; }

  /// The numbers that the collective after `segment` is about, [tokens, columns].
  virtual float* CollectiveBuffer(std::size_t segment) = 0;
  /// This die's part of the logits, [rows, logit columns], after the last segment.
  virtual const float* Logits() const = 0;
};

}  // namespace tyllm::simulator
