// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/csv.h"

#include <gtest/gtest.h>

namespace tyllm::evaluate {
namespace {

TEST(Csv, FieldsInQuotesHoldCommasLineBreaksAndQuotes) {
  const auto records = ParseCsv(
      "\xEF\xBB\xBF"
      "a,\"b, c\",d\r\n\"two\nlines\",\"say \"\"so\"\"\",\n\n x ,,z",
      "f");
  ASSERT_TRUE(records.ok()) << records.status().ToString();
  const std::vector<CsvRecord> expected = {
      {1, {"a", "b, c", "d"}}, {2, {"two\nlines", "say \"so\"", ""}}, {5, {" x ", "", "z"}}};
  EXPECT_EQ(*records, expected);
}

TEST(Csv, NothingIsNoRecords) {
  EXPECT_TRUE((*ParseCsv("", "f")).empty());
  EXPECT_TRUE((*ParseCsv("\n\r\n\n", "f")).empty());
}

TEST(Csv, WhatIsMalformedIsNamedWithItsLine) {
  const auto open = ParseCsv("a\nb,\"c\nd", "q.csv");
  ASSERT_FALSE(open.ok());
  EXPECT_NE(open.status().message().find("q.csv line 2"), std::string::npos);
  const auto after = ParseCsv("\"a\nb\" c,d", "q.csv");
  ASSERT_FALSE(after.ok());
  EXPECT_NE(after.status().message().find("q.csv line 2"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::evaluate
