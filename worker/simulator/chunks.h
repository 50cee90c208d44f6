// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "worker/plan/program.h"

namespace tyllm::simulator {

/// One call of a program.
struct Chunk {
  plan::ProgramId program;
  std::int64_t tokens = 0;  ///< 1..program.bucket
  bool operator==(const Chunk&) const = default;
};

enum class Rows : std::uint8_t {
  kLast,   ///< logits of the last token are wanted
  kEvery,  ///< logits of every token: only programs that give them are used
};

/// Cuts `tokens` that follow `history` cached ones into calls: the largest bucket that is filled
/// goes first; what is less than the smallest bucket fills a part of it. Empty when there are no
/// tokens, or when every row is wanted and no program gives them. `buckets` need no order.
/// `visual`: the buckets have the programs of a visual language model.
std::vector<Chunk> PlanChunks(std::span<const std::int64_t> buckets, std::int64_t history,
                              std::int64_t tokens, Rows rows, bool visual = false);

/// "96+2x8+3".
std::string Describe(const std::vector<Chunk>& chunks);

}  // namespace tyllm::simulator
