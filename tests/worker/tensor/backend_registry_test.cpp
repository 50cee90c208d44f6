// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "worker/tensor/backend.h"

namespace tyllm::tensor {
namespace {

TEST(MakeBackend, AutoAndCpuAreTheCpu) {
  for (const char* device : {"auto", "cpu"}) {
    const auto backend = MakeBackend(device, 1);
    ASSERT_TRUE(backend.ok()) << backend.status().ToString();
    EXPECT_EQ((*backend)->name(), "cpu");
  }
}

TEST(MakeBackend, ADeviceThatIsNotThereSaysWhatToUse) {
  const auto backend = MakeBackend("cuda:3", 1);
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(backend.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(backend.status().message().find("cuda:3"), std::string::npos);
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
