// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/enum_table.h"

namespace tyllm::plan {

/// What a die program does with its tokens. Names are those of the files.
enum class ProgramKind : std::uint8_t {
  kDecode,   ///< history, logits of every token; buckets of at most 8
  kPrefill,  ///< no history, logits of the last token; buckets above 1
  kLlm,      ///< history, logits of the last token; buckets above 8
};

inline constexpr EnumTable<ProgramKind, 3> kProgramKindNames(
    "program kind", {{{ProgramKind::kDecode, "llm_decode"},
                      {ProgramKind::kPrefill, "llm_prefill"},
                      {ProgramKind::kLlm, "llm"}}});

constexpr const auto& NamesOf(ProgramKind) {
  return kProgramKindNames;
}

/// One program of an artifact: the same for all dies but for the sizes of their shards.
struct ProgramId {
  ProgramKind kind = ProgramKind::kDecode;
  std::int64_t bucket = 1;  ///< tokens that it takes at once
  bool operator==(const ProgramId&) const = default;
};

/// The programs that are emitted for a bucket (docs/formats/artifact-directory.md), in file order.
/// A visual language model has `llm` for every bucket above 1.
std::vector<ProgramKind> KindsOfBucket(std::int64_t bucket, bool visual = false);
/// The same for a list of buckets, smallest first.
std::vector<ProgramId> ProgramsOf(const std::vector<std::int64_t>& buckets, bool visual = false);

/// Whether tokens may already be in the cache.
constexpr bool TakesHistory(ProgramKind kind) {
  return kind != ProgramKind::kPrefill;
}

/// Whether every token's logits come out, or the last one's.
constexpr bool EveryLogit(ProgramKind kind) {
  return kind == ProgramKind::kDecode;
}

}  // namespace tyllm::plan
