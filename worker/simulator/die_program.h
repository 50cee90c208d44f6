// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "worker/die/abi.h"

namespace tyllm::simulator {

/// The tokens of one call, the same for all dies. Spans live through the call.
struct Call {
  std::span<const std::int32_t> token_ids;  ///< [tokens]
  std::span<const float> embeddings;        ///< [tokens, width], empty when programs take ids
  std::int64_t history = 0;

  std::int64_t tokens() const { return static_cast<std::int64_t>(token_ids.size()); }
};

/// What dies do together after a segment.
struct SegmentEnd {
  die::Collective after = die::Collective::kNone;
  std::int64_t columns = 0;  ///< float32 numbers a token
};

/// One program on one die: compiled code, or the interpreter. Begin, then Run for each segment in
/// order. Different dies may run at the same time.
class DieProgram {
 public:
  virtual ~DieProgram() = default;
  virtual std::span<const SegmentEnd> segments() const = 0;
  virtual void Begin(const Call& call) = 0;
  virtual void Run(std::size_t segment) = 0;
  /// The numbers that the collective after `segment` is about, [tokens, columns].
  virtual float* CollectiveBuffer(std::size_t segment) = 0;
  /// This die's part of the logits, [rows, logit columns], after the last segment.
  virtual const float* Logits() const = 0;
};

}  // namespace tyllm::simulator
