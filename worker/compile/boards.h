// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/format/json.h"

namespace tyllm::compile {

/// What a compiled model is meant to run on. Every die has memory of its own.
struct Board {
  std::string name;
  std::uint64_t die_memory_bytes = 0;
  double bandwidth_bytes_per_second = 0;  ///< of one die to its memory
};

/// The table of boards (docs/formats/boards.md), which users edit. Errors name the file and key.
Result<std::vector<Board>> ReadBoards(const Path& table);

/// The row called `name`. kNotFound lists those that there are.
Result<Board> FindBoard(const std::vector<Board>& boards, std::string_view name, const Path& table);

}  // namespace tyllm::compile

template <>
struct tyllm::format::Members<tyllm::compile::Board> {
  using B = tyllm::compile::Board;
  static constexpr auto kTable = std::tuple{
      Member{"name", &B::name, true}, Member{"die_memory_bytes", &B::die_memory_bytes, true},
      Member{"bandwidth_bytes_per_second", &B::bandwidth_bytes_per_second, true}};
};
