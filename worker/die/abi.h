// SPDX-License-Identifier: Apache-2.0
#pragma once

// The contract between a generated die program (a shared object) and whoever runs it. Written down
// in docs/formats/die_abi.md. Only standard headers: generated code includes this and the kernels
// beside it.

#include <cstddef>
#include <cstdint>

#include "worker/die/part.h"

namespace tyllm::die {

inline constexpr std::uint32_t kAbiVersion = 6;

/// What has to happen between the dies after a segment, on float32 numbers in their arenas.
enum class Collective : std::uint32_t {
  kNone = 0,
  kAllReduceSum = 1,  ///< each die's buffer becomes the sum over its group, added in die order
};

/// A part of a program between two collectives.
struct Segment {
  const char* name;    ///< "embed", "attention", "mlp", "head"
  std::int32_t layer;  ///< -1 outside the layers
  Collective after;
  std::uint64_t offset;    ///< of the collective's buffer in the arena, bytes
  std::uint64_t elements;  ///< float32 numbers in it, for a full bucket
  std::uint32_t phases;    ///< steps of it, in order; all parts of one end before the next begins
  std::uint32_t group;     ///< neighbouring dies that do it among themselves; 0: all of them
  /// [phases] the most shares that a phase may be cut into; nullptr: kMaxParts for all.
  const std::uint16_t* shares;
};

/// What a program finds when it is called. Addresses are 64-byte aligned and outlive the call.
struct DieContext {
  std::uint32_t die;  ///< logical number, 0..dies-1
  std::uint32_t dies;
  const std::byte* common;    ///< common_die<d>.params, the whole file mapped
  const std::byte* constant;  ///< constant_die<d>_<s>.params
  const std::uint64_t*
      bindings;         ///< tensor "bindings" of seqlen_<s>/llm_die<d>.params: byte offsets into
                        ///< `common` and `constant` in the order that the program expects
  std::byte* arena;     ///< arena_bytes, kept between the segments of a call
  std::byte* kv_cache;  ///< kv_bytes, kept between calls; shared by all programs of a die
  const std::int32_t* token_ids;  ///< [tokens]; nullptr when the program takes embeddings
  const float* embeddings;        ///< [tokens, width]; nullptr when the program takes ids
  const float* rotations;  ///< [tokens, head_size] cosines, then sines; of programs that take them
  const float* deepstack;  ///< [levels, tokens, width] added after the first layers, or nullptr
  std::uint32_t tokens;    ///< 1..bucket
  std::uint32_t history;   ///< tokens already in the cache; tokens + history <= max_kv
};

/// What a shared object says of itself.
struct Program {
  std::uint32_t abi_version;
  const char* kind;         ///< "llm_decode", "llm", "llm_prefill"
  const char* plan_digest;  ///< of everything that the code depends on; also in ckpt_*.json
  const char* target_cpu;   ///< "x86-64-v3"
  std::uint32_t bucket;
  std::uint32_t max_kv;
  std::uint32_t width;
  std::uint32_t vocabulary;  ///< of the model
  std::uint32_t
      logit_columns;  ///< of this die's shard; its first column comes from buffer_config.json
  std::uint32_t logit_rows;     ///< bucket (every token) or 1 (the last token)
  std::uint64_t logits_offset;  ///< float32 [logit_rows, logit_columns] in the arena
  std::uint64_t arena_bytes;
  std::uint64_t kv_bytes;
  std::uint32_t binding_count;
  std::uint32_t segment_count;
  const Segment* segments;
  /// `part` of a phase of a segment. Parts of one phase may run at the same time.
  void (*run)(const DieContext* context, std::uint32_t segment, std::uint32_t phase, Part part);
  /// Asks for the first memory that `part` will read, while other work ends: changes nothing, and
  /// may be called at any time. nullptr: there is nothing to ask for.
  void (*fetch)(const DieContext* context, std::uint32_t segment, std::uint32_t phase, Part part);
};

/// The one symbol that a program exports: `extern "C" const tyllm::die::Program*
/// tyllm_die_program()`.
using ProgramEntry = const Program* (*)();
inline constexpr const char* kProgramEntryName = "tyllm_die_program";

}  // namespace tyllm::die
