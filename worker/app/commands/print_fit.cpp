// SPDX-License-Identifier: Apache-2.0
#include "worker/app/commands/print_fit.h"

#include <cstdio>
#include <optional>

#include "common/base/free_memory.h"
#include "worker/app/commands/human_bytes.h"

namespace tyllm::app {
namespace {

std::string Size(std::uint64_t bytes) {
  return HumanBytes(static_cast<std::int64_t>(bytes));
}

void PrintDies(const compile::FitReport& report) {
  std::printf("die  heads    weights  constants   KV cache      arena      total   a token\n");
  for (const compile::DieFit& die : report.die_list) {
    const std::string heads = std::to_string(die.heads) + ":" + std::to_string(die.kv_heads);
    std::printf("%3lld  %5s  %9s  %9s  %9s  %9s  %9s %9s\n", static_cast<long long>(die.die),
                heads.c_str(), Size(die.weight_bytes).c_str(), Size(die.constant_bytes).c_str(),
                Size(die.kv_bytes).c_str(), Size(die.arena_bytes).c_str(),
                Size(die.total_bytes).c_str(), Size(die.token_bytes).c_str());
    if (die.tower_weight_bytes > 0) {
      std::printf("     tower  %9s  %9s  %9s  %9s\n", Size(die.tower_weight_bytes).c_str(), "", "",
                  Size(die.tower_arena_bytes).c_str());
    }
  }
}

void PrintBoards(const compile::FitReport& report) {
  std::printf("\nboard         a die has  fits  longest context  tokens/s at most\n");
  for (const compile::BoardFit& fit : report.boards) {
    std::printf("%-12s  %9s  %-4s  %15lld  %16.1f\n", fit.board.name.c_str(),
                Size(fit.board.die_memory_bytes).c_str(), fit.fits ? "yes" : "no",
                static_cast<long long>(fit.longest_context), fit.tokens_per_second);
  }
}

}  // namespace

void PrintWarnings(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
}

void PrintStart(const compile::FitReport& report) {
  PrintWarnings(report.warnings);
  if (report.memory_bytes == 0) {
    return;
  }
  const std::optional<std::int64_t> free = FreeMemory();
  if (free && *free < report.memory_bytes) {
    std::fprintf(stderr,
                 "warning: %s of memory are free, and this takes up to %s besides its compilers; "
                 "end other programs, or expect it to be slow or to fail\n",
                 HumanBytes(*free).c_str(), HumanBytes(report.memory_bytes).c_str());
  } else {
    std::fprintf(stderr, "needs up to %s of memory besides its compilers, and about %.0f s\n",
                 HumanBytes(report.memory_bytes).c_str(), report.seconds);
  }
}

void PrintFit(const compile::FitReport& report) {
  PrintWarnings(report.warnings);
  PrintDies(report);
  PrintBoards(report);
  const std::string memory =
      report.memory_bytes > 0 ? HumanBytes(report.memory_bytes) + " of memory; " : std::string();
  std::printf("\n%lld programs, %lld to compile; %s on disk; %sabout %.0f s\n",
              static_cast<long long>(report.programs),
              static_cast<long long>(report.distinct_sources - report.cached_sources),
              Size(report.directory_bytes).c_str(), memory.c_str(), report.seconds);
}

}  // namespace tyllm::app
