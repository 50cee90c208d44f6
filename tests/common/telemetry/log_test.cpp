// SPDX-License-Identifier: Apache-2.0
#include "common/telemetry/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace tyllm::telemetry {
namespace {

TEST(Log, TextLinesHaveTimeLevelMessageAndFields) {
  const ManualClock clock;
  std::ostringstream out;
  Log log({}, clock, out);
  log.Info("worker joined", {{"worker", "gpu1"}, {"slots", 2}, {"note", "two words"}});
  EXPECT_EQ(out.str(),
            "2023-11-14T22:13:20.000Z info    worker joined worker=gpu1 slots=2 note=\"two "
            "words\"\n");
}

TEST(Log, JsonLinesAreOneEscapedObjectEach) {
  const ManualClock clock;
  std::ostringstream out;
  Log log({LogLevel::kInfo, LogFormat::kJson}, clock, out);
  log.Error("a \"quoted\"\nmessage", {{"path", "C:\\x"}, {"n", -1}});
  EXPECT_EQ(out.str(),
            "{\"time\":\"2023-11-14T22:13:20.000Z\",\"level\":\"error\",\"message\":"
            "\"a \\\"quoted\\\"\\nmessage\",\"path\":\"C:\\\\x\",\"n\":\"-1\"}\n");
}

TEST(Log, NothingBelowItsLevelIsWritten) {
  const ManualClock clock;
  std::ostringstream out;
  Log log({LogLevel::kWarning, LogFormat::kText}, clock, out);
  log.Debug("no");
  log.Info("no");
  EXPECT_EQ(out.str(), "");
  log.Warning("yes");
  EXPECT_NE(out.str().find("yes"), std::string::npos);
}

TEST(Log, AMessageCannotForgeASecondTextLine) {
  const ManualClock clock;
  std::ostringstream out;
  Log log({}, clock, out);
  log.Info("one\n2023-11-14T22:13:20.000Z info two", {{"k", "a\nb"}});
  const std::string text = out.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

}  // namespace
}  // namespace tyllm::telemetry
