// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/boards.h"

namespace tyllm::compile {
namespace {

struct BoardTable {
  std::string format;
  std::int64_t version = 0;
  std::vector<Board> boards;
};

constexpr std::string_view kFormat = "tyllm-boards";

Status CheckBoard(const Board& board, const std::string& what) {
  if (board.die_memory_bytes == 0 || !(board.bandwidth_bytes_per_second > 0)) {
    return InvalidArgument(what + ": memory and bandwidth of board '" + board.name +
                           "' must be above 0");
  }
  return OkStatus();
}

}  // namespace
}  // namespace tyllm::compile

template <>
struct tyllm::format::Members<tyllm::compile::BoardTable> {
  using T = tyllm::compile::BoardTable;
  static constexpr auto kTable =
      std::tuple{Member{"format", &T::format, true}, Member{"version", &T::version, true},
                 Member{"boards", &T::boards, true}};
};

namespace tyllm::compile {

Result<std::vector<Board>> ReadBoards(const Path& table) {
  TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(table));
  TYLLM_ASSIGN(BoardTable read, format::FromJson<BoardTable>(json, table.string()));
  if (read.format != kFormat || read.version != 1) {
    return InvalidArgument(table.string() + " is '" + read.format + "' version " +
                           std::to_string(read.version) + ", expected '" + std::string(kFormat) +
                           "' version 1");
  }
  for (const Board& board : read.boards) {
    TYLLM_TRY(CheckBoard(board, table.string()));
  }
  return std::move(read.boards);
}

Result<Board> FindBoard(const std::vector<Board>& boards, std::string_view name,
                        const Path& table) {
  std::string names;
  for (const Board& board : boards) {
    if (board.name == name) {
      return board;
    }
    names += (names.empty() ? "" : ", ") + board.name;
  }
  return NotFound("board '" + std::string(name) + "' is not in " + table.string() +
                  ", which has: " + names);
}

}  // namespace tyllm::compile
