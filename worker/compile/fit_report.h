// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "worker/compile/boards.h"
#include "worker/compile/compile_time.h"
#include "worker/compile/preparation.h"

namespace tyllm::compile {

/// What one die of a compiled model needs. All sizes in bytes.
struct DieFit {
  std::int64_t die = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::uint64_t weight_bytes = 0;    ///< common_die<d>.params
  std::uint64_t constant_bytes = 0;  ///< all constant_die<d>_<s>.params
  std::uint64_t kv_bytes = 0;
  std::uint64_t arena_bytes = 0;  ///< of the program that needs most
  // Of a model that sees, for images of the size that was asked for; else 0:
  std::uint64_t tower_weight_bytes = 0;  ///< visual/constant_die<d>.params
  std::uint64_t tower_arena_bytes = 0;
  std::uint64_t total_bytes = 0;  ///< resident together while the model runs
  std::uint64_t token_bytes = 0;  ///< read from memory for one decoded token at half the context
};

/// Whether a model fits a board, and what to expect there.
struct BoardFit {
  Board board;
  bool fits = false;
  /// The largest --max-kv, in steps of 64, with which every die fits; 0 when there is none. Never
  /// above the positions that the model was made for.
  std::int64_t longest_context = 0;
  /// Upper bound of decoding: the slowest die's token_bytes over the bandwidth, nothing else.
  double tokens_per_second = 0;
};

/// What `tyllm compile --dry-run` says: known from headers and the memory plan, before any weight
/// is read.
struct FitReport {
  std::int64_t dies = 0;
  std::int64_t max_kv = 0;
  std::vector<std::int64_t> seq_lens;
  std::vector<DieFit> die_list;
  std::vector<BoardFit> boards;
  std::int64_t programs = 0;
  std::int64_t distinct_sources = 0;  ///< compiler runs without a cache
  std::int64_t cached_sources = 0;    ///< of these, whose objects are in the cache
  /// That compiling takes of this machine's at most (CompileMemory).
  std::int64_t memory_bytes = 0;
  std::uint64_t directory_bytes = 0;  ///< of everything that is written (DirectorySize)
  double seconds = 0;                 ///< on `jobs` threads (CompileTime), with its stages
  CompileTime stages;
  std::vector<std::string> warnings;  ///< what Warnings says
};

/// Pure but for the planning of `preparation` (from Preflight), and a look at the cache. `jobs` is
/// the number of compilers that run at once, at least 1.
Result<FitReport> Fit(const Preparation& preparation, const std::vector<Board>& boards,
                      std::int64_t jobs, const ObjectCache& objects);

}  // namespace tyllm::compile

template <>
struct tyllm::format::Members<tyllm::compile::DieFit> {
  using D = tyllm::compile::DieFit;
  static constexpr auto kTable = std::tuple{
      Member{"die", &D::die},
      Member{"heads", &D::heads},
      Member{"kv_heads", &D::kv_heads},
      Member{"weight_bytes", &D::weight_bytes},
      Member{"constant_bytes", &D::constant_bytes},
      Member{"kv_bytes", &D::kv_bytes},
      Member{"arena_bytes", &D::arena_bytes},
      Member{"tower_weight_bytes", &D::tower_weight_bytes},
      Member{"tower_arena_bytes", &D::tower_arena_bytes},
      Member{"total_bytes", &D::total_bytes},
      Member{"token_bytes", &D::token_bytes},
  };
};

template <>
struct tyllm::format::Members<tyllm::compile::BoardFit> {
  using B = tyllm::compile::BoardFit;
  static constexpr auto kTable = std::tuple{Member{"board", &B::board}, Member{"fits", &B::fits},
                                            Member{"longest_context", &B::longest_context},
                                            Member{"tokens_per_second", &B::tokens_per_second}};
};

template <>
struct tyllm::format::Members<tyllm::compile::CompileTime> {
  using T = tyllm::compile::CompileTime;
  static constexpr auto kTable = std::tuple{
      Member{"check", &T::check}, Member{"pack", &T::pack}, Member{"compile", &T::compile},
      Member{"golden", &T::golden}, Member{"verify", &T::verify}};
};

template <>
struct tyllm::format::Members<tyllm::compile::FitReport> {
  using F = tyllm::compile::FitReport;
  static constexpr auto kTable = std::tuple{
      Member{"dies", &F::dies},
      Member{"max_kv", &F::max_kv},
      Member{"seq_lens", &F::seq_lens},
      Member{"die_list", &F::die_list},
      Member{"boards", &F::boards},
      Member{"programs", &F::programs},
      Member{"distinct_sources", &F::distinct_sources},
      Member{"cached_sources", &F::cached_sources},
      Member{"memory_bytes", &F::memory_bytes},
      Member{"directory_bytes", &F::directory_bytes},
      Member{"seconds", &F::seconds},
      Member{"stages", &F::stages},
      Member{"warnings", &F::warnings},
  };
};
