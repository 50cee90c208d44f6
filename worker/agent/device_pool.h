// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/guarded.h"
#include "common/base/result.h"
#include "common/domain/devices.h"

namespace tyllm::agent {

/// The devices that jobs of a worker may compute with. `wanted` "auto" means all GPUs that the
/// toolchain can use, or the CPU where there are none. A device that is named and cannot be used is
/// kFailedPrecondition with the reason; kInvalidArgument when there is none of that name.
Result<std::vector<domain::Device>> ChooseDevices(std::string_view wanted,
                                                  const domain::ToolchainFacts& facts);

/// Hands the attempts their devices, each the one that the fewest others use. Threads: any.
class DevicePool {
 public:
  /// `names` is not empty.
  explicit DevicePool(const std::vector<std::string>& names);

  /// A device for as long as it lives.
  class Share {
   public:
    Share(DevicePool& pool, std::string name) : pool_(pool), name_(std::move(name)) {}

    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share();

    const std::string& name() const { return name_; }

   private:
    DevicePool& pool_;
    std::string name_;
  };

  Share Take();

 private:
  Guarded<std::map<std::string, int>> users_;
};

}  // namespace tyllm::agent
