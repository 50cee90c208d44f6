// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "worker/tensor/backend.h"

namespace tyllm::tensor {
namespace {

TEST(MakeBackend, CpuIsAlwaysThere) {
  const auto backend = MakeBackend("cpu", 1);
  ASSERT_TRUE(backend.ok()) << backend.status().ToString();
  EXPECT_EQ((*backend)->name(), "cpu");
}

TEST(MakeBackend, AutoIsTheFirstGpuWhereThereIsOne) {
  const auto backend = MakeBackend("auto", 1);
  ASSERT_TRUE(backend.ok()) << backend.status().ToString();
  EXPECT_EQ((*backend)->name(), MakeBackend("cuda:0", 1).ok() ? "cuda:0" : "cpu");
}

TEST(MakeBackend, ADeviceThatIsNotThereSaysWhatToUse) {
  const auto backend = MakeBackend("cuda:77", 1);
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(backend.status().code(), StatusCode::kUnavailable);
  EXPECT_NE(backend.status().message().find("cuda:77"), std::string::npos);
  EXPECT_NE(backend.status().message().find("--device cpu"), std::string::npos);
}

TEST(MakeBackend, TextThatNamesNoDeviceListsTheDevices) {
  for (const char* device : {"", "gpu", "cuda", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cpu:0"}) {
    const auto backend = MakeBackend(device, 1);
    ASSERT_FALSE(backend.ok()) << device;
    EXPECT_EQ(backend.status().code(), StatusCode::kInvalidArgument) << device;
    EXPECT_NE(backend.status().message().find("auto, cpu, cuda:N"), std::string::npos) << device;
  }
}

TEST(MakeBackend, NegativeThreadsAreRefused) {
  EXPECT_EQ(MakeBackend("cpu", -1).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tyllm::tensor
