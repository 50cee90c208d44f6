// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/device_pool.h"

#include <gtest/gtest.h>

namespace tyllm::agent {
namespace {

domain::ToolchainFacts Machine() {
  return {.version = "1",
          .dies = 4,
          .devices = {{.name = "cpu", .usable = true},
                      {.name = "cuda:0", .usable = true},
                      {.name = "cuda:1", .usable = true},
                      {.name = "cuda:2", .usable = false, .problem = "it fell off the bus"}}};
}

std::vector<std::string> NamesOf(const std::vector<domain::Device>& devices) {
  std::vector<std::string> names;
  for (const domain::Device& device : devices) {
    names.push_back(device.name);
  }
  return names;
}

using Names = std::vector<std::string>;

TEST(ChooseDevicesTest, AutoMeansAllUsableGpusOrElseTheCpu) {
  EXPECT_EQ(NamesOf(*ChooseDevices("auto", Machine())), (Names{"cuda:0", "cuda:1"}));
  domain::ToolchainFacts plain = Machine();
  plain.devices.resize(1);
  EXPECT_EQ(NamesOf(*ChooseDevices("auto", plain)), (Names{"cpu"}));
}

TEST(ChooseDevicesTest, ANamedDeviceMustBeThereAndUsable) {
  EXPECT_EQ(NamesOf(*ChooseDevices("cuda:1", Machine())), (Names{"cuda:1"}));
  EXPECT_EQ(NamesOf(*ChooseDevices("cpu", Machine())), (Names{"cpu"}));
  const Status broken = ChooseDevices("cuda:2", Machine()).status();
  EXPECT_EQ(broken.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(broken.message().find("it fell off the bus"), std::string::npos);
  const Status absent = ChooseDevices("tpu", Machine()).status();
  EXPECT_EQ(absent.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(absent.message().find("cuda:1"), std::string::npos);
}

TEST(DevicePoolTest, EveryAttemptGetsTheDeviceThatTheFewestUse) {
  DevicePool pool({"cuda:0", "cuda:1"});
  const DevicePool::Share first = pool.Take();
  EXPECT_EQ(first.name(), "cuda:0");
  {
    const DevicePool::Share second = pool.Take();
    EXPECT_EQ(second.name(), "cuda:1");
    EXPECT_EQ(pool.Take().name(), "cuda:0");
  }
  EXPECT_EQ(pool.Take().name(), "cuda:1") << "given back";
}

}  // namespace
}  // namespace tyllm::agent
