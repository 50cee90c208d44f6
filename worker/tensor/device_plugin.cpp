// SPDX-License-Identifier: Apache-2.0
#include "worker/tensor/device_plugin.h"

#include <dlfcn.h>

#include <string>

#include "common/base/plugin.h"

namespace tyllm::tensor {

namespace {

constexpr const char* kFile = "libtyllm_cuda.so";

Result<const DevicePlugin*> Load() {
  const Path file = FindPlugin(kFile);
  if (file.empty()) {
    return Unavailable(
        std::string(kFile) +
        " is neither beside the program nor in ../lib; build it where nvcc is (CMake says so)");
  }
  // The plug-in's libraries are large: they are not loaded where they could do nothing.
  if (::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL) == nullptr) {
    return Unavailable("this machine has no NVIDIA driver (libcuda.so.1)");
  }
  return LoadPlugin<DevicePlugin>(file, "tyllm_device_plugin", kDevicePluginAbi);
}

}  // namespace

Result<std::unique_ptr<Backend>> MakeCudaBackend(int device) {
  static const Result<const DevicePlugin*> plugin = Load();
  if (!plugin.ok()) {
    return plugin.status();
  }
  return (*plugin)->make(device);
}

}  // namespace tyllm::tensor
