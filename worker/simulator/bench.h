// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/domain/progress.h"
#include "common/format/json.h"
#include "worker/simulator/executor.h"

namespace tyllm::simulator {

/// How fast a compiled model is on the die simulator of this machine.
struct BenchRequest {
  Path directory;
  std::int64_t threads = 0;         ///< 0: one a core
  std::int64_t prompt_tokens = 96;  ///< prefilled at once
  std::int64_t decode_tokens = 32;  ///< one by one, after the prompt
  std::int64_t repeats = 5;         ///< of either
  std::optional<Path> trace;        ///< gets a trace of one prefill and one decode, Chrome's format
};

/// One kind of phase over all layers, from a pass of its own with a clock around every part.
struct BenchOp {
  std::string segment;  ///< "attention"
  std::string op;       ///< "q+k+v"
  std::int64_t calls = 0;
  double milliseconds = 0;  ///< from the first part's begin to the last one's end, all calls
  double bytes = 0;         ///< of weights and KV cache that all calls read
  double gigabytes_per_second = 0;
  double share_of_memory_speed = 0;
};

struct BenchSide {
  std::string program;
  std::int64_t tokens = 0;       ///< a repeat
  double tokens_per_second = 0;  ///< of the best repeat
  double median_tokens_per_second = 0;
  double bytes_per_token = 0;       ///< of weights and KV cache that are read
  double gigabytes_per_second = 0;  ///< of the best repeat
  double share_of_memory_speed = 0;
  std::vector<BenchOp> ops;
  double between_ms = 0;  ///< of the pass with clocks: waiting between phases, and the host's part
};

struct BenchReport {
  std::string directory;
  std::int64_t dies = 0;
  std::int64_t threads = 0;
  std::string target_cpu;
  std::string engine;                      ///< "compiled", or "interpreter": then no ops are told
  std::string head;                        ///< how its weights are stored: "half", "int8", "int4"
  double memory_gigabytes_per_second = 0;  ///< read by as many threads, measured just before
  BenchSide prefill;
  BenchSide decode;
};

/// Loads the model, measures the memory, prefills and decodes pseudo-random tokens. The headline
/// figures come from passes without clocks in them. Reports stage "bench".
Result<BenchReport> Bench(FileSystem& files, const BenchRequest& request,
                          domain::ProgressSink& progress);

}  // namespace tyllm::simulator

template <>
struct tyllm::format::Members<tyllm::simulator::BenchOp> {
  using O = tyllm::simulator::BenchOp;
  static constexpr auto kTable = std::tuple{
      Member{"segment", &O::segment},
      Member{"op", &O::op},
      Member{"calls", &O::calls},
      Member{"milliseconds", &O::milliseconds},
      Member{"bytes", &O::bytes},
      Member{"gigabytes_per_second", &O::gigabytes_per_second},
      Member{"share_of_memory_speed", &O::share_of_memory_speed},
  };
};

template <>
struct tyllm::format::Members<tyllm::simulator::BenchSide> {
  using S = tyllm::simulator::BenchSide;
  static constexpr auto kTable = std::tuple{
      Member{"program", &S::program},
      Member{"tokens", &S::tokens},
      Member{"tokens_per_second", &S::tokens_per_second},
      Member{"median_tokens_per_second", &S::median_tokens_per_second},
      Member{"bytes_per_token", &S::bytes_per_token},
      Member{"gigabytes_per_second", &S::gigabytes_per_second},
      Member{"share_of_memory_speed", &S::share_of_memory_speed},
      Member{"ops", &S::ops},
      Member{"between_ms", &S::between_ms},
  };
};

template <>
struct tyllm::format::Members<tyllm::simulator::BenchReport> {
  using R = tyllm::simulator::BenchReport;
  static constexpr auto kTable = std::tuple{
      Member{"directory", &R::directory},
      Member{"dies", &R::dies},
      Member{"threads", &R::threads},
      Member{"target_cpu", &R::target_cpu},
      Member{"engine", &R::engine},
      Member{"head", &R::head},
      Member{"memory_gigabytes_per_second", &R::memory_gigabytes_per_second},
      Member{"prefill", &R::prefill},
      Member{"decode", &R::decode},
  };
};
