// SPDX-License-Identifier: Apache-2.0
#include "worker/tensor/device_plugin.h"

#include <dlfcn.h>

#include <array>
#include <filesystem>

namespace tyllm::tensor {

namespace {

constexpr const char* kFile = "libtyllm_cuda.so";

/// Where the plug-in is, or would be.
std::filesystem::path PluginFile() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path folder = program.parent_path();
  for (const char* place : {".", "../lib", "../lib/tyllm"}) {
    const std::filesystem::path file = (folder / place / kFile).lexically_normal();
    if (std::filesystem::exists(file, error)) {
      return file;
    }
  }
  return {};
}

Result<const DevicePlugin*> Load() {
  const std::filesystem::path file = PluginFile();
  if (file.empty()) {
    return FailedPrecondition(
        std::string(kFile) +
        " is neither beside the program nor in ../lib; build it where nvcc is (CMake says so)");
  }
  // The plug-in's libraries are large: they are not loaded where they could do nothing.
  if (::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL) == nullptr) {
    return FailedPrecondition("this machine has no NVIDIA driver (libcuda.so.1)");
  }
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = ::dlerror();
    return FailedPrecondition(file.string() +
                              " cannot be loaded: " + (why == nullptr ? "no reason given" : why));
  }
  const auto* plugin = static_cast<const DevicePlugin*>(::dlsym(library, "tyllm_device_plugin"));
  if (plugin == nullptr || plugin->abi != kDevicePluginAbi) {
    ::dlclose(library);
    return FailedPrecondition(file.string() + " is of another version, expected interface " +
                              std::to_string(kDevicePluginAbi) + "; install both together");
  }
  return plugin;
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
