// SPDX-License-Identifier: Apache-2.0
#include "common/base/status.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "common/base/enum_table.h"
#include "common/base/result.h"

namespace tyllm {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) {
    return InvalidArgument("value is " + std::to_string(value) + ", expected an even number");
  }
  return value / 2;
}

Result<int> Quarter(int value) {
  TYLLM_ASSIGN(const int half, Half(value));
  return Half(half).Annotate("second half");
}

enum class Fruit : std::uint8_t { kApple, kPear };
constexpr EnumTable<Fruit, 2> kFruits("fruit",
                                      {{{Fruit::kApple, "apple"}, {Fruit::kPear, "pear"}}});

TEST(Status, AnnotationKeepsCodeAndPutsContextInFront) {
  const Status status = NotFound("no file").Annotate("loading shard 3");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(status.ToString(), "NOT_FOUND: loading shard 3: no file");
  EXPECT_TRUE(OkStatus().Annotate("anything").ok());
}

TEST(Status, ErrnoOfAFullDiskIsResourceExhausted) {
  EXPECT_EQ(FromErrno(ENOSPC, "writing x").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(FromErrno(EFBIG, "writing x").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(FromErrno(ENOENT, "opening x").code(), StatusCode::kNotFound);
  EXPECT_NE(FromErrno(ENOSPC, "writing x").message().find("free some space"), std::string::npos);
}

TEST(Status, ErrnoOfMemoryIsToldFromThatOfADisk) {
  const Status status = FromErrno(ENOMEM, "mapping x");
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(status.of_memory());
  EXPECT_TRUE(status.Annotate("loading").of_memory());
  EXPECT_FALSE(FromErrno(ENOSPC, "writing x").of_memory());
}

TEST(Status, ErrnoOfANameThatCannotBeOneIsTheAskersAndNoReasonToTryAgain) {
  for (const int error : {ENAMETOOLONG, ELOOP, EINVAL}) {
    EXPECT_EQ(FromErrno(error, "opening x").code(), StatusCode::kInvalidArgument) << error;
  }
  for (const int error : {EIO, EMFILE, ENFILE, EBUSY, EAGAIN, ETIMEDOUT}) {
    EXPECT_EQ(FromErrno(error, "opening x").code(), StatusCode::kUnavailable) << error;
  }
  EXPECT_EQ(FromErrno(EXDEV, "renaming x").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(FromErrno(EBADF, "reading x").code(), StatusCode::kUnknown);
}

TEST(Result, AssignReturnsTheErrorOfTheFirstFailingStep) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(3).status().message(), "value is 3, expected an even number");
  EXPECT_EQ(Quarter(6).status().message(), "second half: value is 3, expected an even number");
}

TEST(EnumTable, UnknownNameIsAnErrorThatListsTheNames) {
  EXPECT_EQ(*kFruits.Parse("pear"), Fruit::kPear);
  EXPECT_EQ(kFruits.Parse("plum").status().message(),
            "fruit is 'plum', expected one of: apple, pear");
  EXPECT_FALSE(kFruits.FromInteger(2).has_value());
}

}  // namespace
}  // namespace tyllm
