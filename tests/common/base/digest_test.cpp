// SPDX-License-Identifier: Apache-2.0
#include "common/base/digest.h"

#include <gtest/gtest.h>

namespace tyllm {
namespace {

// FIPS 180-2, appendix B.1.
constexpr std::string_view kAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, AgreesWithTheStandardsExample) {
  EXPECT_EQ(DigestOf("abc").Hex(), kAbc);
  Sha256Stream stream;
  stream.Update("a");
  stream.Update("bc");
  EXPECT_EQ(stream.Finish().Hex(), kAbc);
}

TEST(Sha256, HexGoesBothWaysAndRefusesWhatIsNoDigest) {
  EXPECT_EQ(Sha256::FromHex(kAbc)->Hex(), kAbc);
  EXPECT_FALSE(Sha256::FromHex("abc").ok());
  EXPECT_FALSE(Sha256::FromHex(std::string(64, 'G')).ok());
}

TEST(BlobId, TextGoesBothWaysAndRefusesWhatIsNoId) {
  const BlobId id{DigestOf("abc"), 3};
  EXPECT_EQ(*BlobId::Parse(id.ToString()), id);
  EXPECT_FALSE(BlobId::Parse(std::string(kAbc)).ok());
  EXPECT_FALSE(BlobId::Parse(std::string(kAbc) + "/").ok());
  EXPECT_FALSE(BlobId::Parse(std::string(kAbc) + "/3x").ok());
  EXPECT_FALSE(BlobId::Parse(std::string(kAbc) + "/99999999999999999999999").ok());
}

}  // namespace
}  // namespace tyllm
