// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/device_pool.h"

#include <algorithm>

namespace tyllm::agent {

namespace {

constexpr std::string_view kAuto = "auto";
constexpr std::string_view kCpu = "cpu";

Result<std::vector<domain::Device>> Named(std::string_view wanted,
                                          const domain::ToolchainFacts& facts) {
  std::string names;
  for (const domain::Device& device : facts.devices) {
    names += (names.empty() ? "" : ", ") + device.name;
    if (device.name != wanted) {
      continue;
    }
    if (!device.usable) {
      return FailedPrecondition("device " + device.name + " cannot be used: " + device.problem);
    }
    return std::vector{device};
  }
  return InvalidArgument("device is '" + std::string(wanted) + "', expected " + std::string(kAuto) +
                         " or one of: " + names);
}

}  // namespace

Result<std::vector<domain::Device>> ChooseDevices(std::string_view wanted,
                                                  const domain::ToolchainFacts& facts) {
  if (wanted != kAuto) {
    return Named(wanted, facts);
  }
  std::vector<domain::Device> gpus;
  std::copy_if(facts.devices.begin(), facts.devices.end(), std::back_inserter(gpus),
               [](const domain::Device& device) { return device.usable && device.name != kCpu; });
  return gpus.empty() ? Named(kCpu, facts) : Result<std::vector<domain::Device>>(std::move(gpus));
}

DevicePool::DevicePool(const std::vector<std::string>& names) {
  auto users = users_.Lock();
  for (const std::string& name : names) {
    (*users)[name] = 0;
  }
}

DevicePool::Share DevicePool::Take() {
  auto users = users_.Lock();
  const auto least =
      std::min_element(users->begin(), users->end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  ++least->second;
  return {*this, least->first};
}

DevicePool::Share::~Share() {
  auto users = pool_.users_.Lock();
  --(*users)[name_];
}

}  // namespace tyllm::agent
