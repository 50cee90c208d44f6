// SPDX-License-Identifier: Apache-2.0
#include "common/base/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include "common/base/handle.h"

namespace tyllm {
namespace {

TEST(Terminal, ItsWidthIsAskedForAndGuessedWhereThereIsNone) {
  const Fd terminal(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(terminal);
  winsize size{};
  size.ws_col = 37;
  ASSERT_EQ(::ioctl(terminal.get(), TIOCSWINSZ, &size), 0);
  EXPECT_EQ(TerminalColumns(terminal.get()), 37U);
  EXPECT_EQ(TerminalColumns(-1), 80U);
}

TEST(Terminal, TextsAreCutBetweenCharacters) {
  EXPECT_EQ(CutToColumns("layer", 5), "layer");
  EXPECT_EQ(CutToColumns("layer", 3), "lay");
  EXPECT_EQ(CutToColumns("a\u00e9b", 2), "a");
  EXPECT_EQ(CutToLastColumns("layer", 5), "layer");
  EXPECT_EQ(CutToLastColumns("layer", 3), "yer");
  EXPECT_EQ(CutToLastColumns("a\u00e9b", 2), "b");
  EXPECT_EQ(CutToLastColumns("a\u00e9b", 3), "\u00e9b");
}

}  // namespace
}  // namespace tyllm
