// SPDX-License-Identifier: Apache-2.0
#include "common/base/terminal.h"

#include <sys/ioctl.h>

namespace tyllm {

namespace {

bool IsInsideCharacter(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

}  // namespace

std::size_t TerminalColumns(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

// No character takes more columns than bytes.
std::string_view CutToColumns(std::string_view text, std::size_t columns) {
  if (text.size() <= columns) {
    return text;
  }
  while (columns > 0 && IsInsideCharacter(text[columns])) {
    --columns;
  }
  return text.substr(0, columns);
}

std::string_view CutToLastColumns(std::string_view text, std::size_t columns) {
  std::size_t start = text.size() > columns ? text.size() - columns : 0;
  while (start > 0 && start < text.size() && IsInsideCharacter(text[start])) {
    ++start;
  }
  return text.substr(start);
}

}  // namespace tyllm
