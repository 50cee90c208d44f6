// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/nvidia_gpus.h"

#include <dlfcn.h>

#include <array>
#include <string>

#include "common/base/handle.h"

namespace tyllm::jobs {

namespace {

struct LibraryTraits {
  using Type = void*;
  static constexpr void* kNone = nullptr;

  static void Close(void* library) { ::dlclose(library); }
};

/// nvmlMemory_t.
struct MemoryInfo {
  unsigned long long total = 0;
  unsigned long long free = 0;
  unsigned long long used = 0;
};

using Gpu = void*;  // nvmlDevice_t

/// The part of NVML that is used here. Every call gives 0 for success.
class Nvml {
 public:
  Nvml() : library_(::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (library_) {
      const auto init = Find<int (*)()>("nvmlInit_v2");
      ready_ = init != nullptr && init() == 0;
    }
  }

  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  ~Nvml() {
    if (ready_) {
      if (const auto shutdown = Find<int (*)()>("nvmlShutdown")) {
        shutdown();
      }
    }
  }

  unsigned int Count() const {
    unsigned int count = 0;
    const auto get = Find<int (*)(unsigned int*)>("nvmlDeviceGetCount_v2");
    return ready_ && get != nullptr && get(&count) == 0 ? count : 0;
  }

  Gpu At(unsigned int index) const {
    Gpu gpu = nullptr;
    const auto get = Find<int (*)(unsigned int, Gpu*)>("nvmlDeviceGetHandleByIndex_v2");
    return get != nullptr && get(index, &gpu) == 0 ? gpu : nullptr;
  }

  std::string NameOf(Gpu gpu) const {
    std::array<char, 128> name{};
    const auto get = Find<int (*)(Gpu, char*, unsigned int)>("nvmlDeviceGetName");
    return get != nullptr && get(gpu, name.data(), name.size() - 1) == 0 ? name.data() : "";
  }

  std::int64_t MemoryOf(Gpu gpu) const {
    MemoryInfo memory;
    const auto get = Find<int (*)(Gpu, MemoryInfo*)>("nvmlDeviceGetMemoryInfo");
    return get != nullptr && get(gpu, &memory) == 0 ? static_cast<std::int64_t>(memory.total) : 0;
  }

  std::string Driver() const {
    std::array<char, 96> version{};
    const auto get = Find<int (*)(char*, unsigned int)>("nvmlSystemGetDriverVersion");
    return get != nullptr && get(version.data(), version.size() - 1) == 0 ? version.data() : "";
  }

 private:
  template <typename Function>
  Function Find(const char* name) const {
    return library_ ? reinterpret_cast<Function>(::dlsym(library_.get(), name)) : nullptr;
  }

  UniqueHandle<LibraryTraits> library_;
  bool ready_ = false;
};

}  // namespace

std::vector<domain::Device> FindNvidiaGpus() {
  std::vector<domain::Device> devices;
  const Nvml nvml;
  const std::string driver = nvml.Count() > 0 ? nvml.Driver() : "";
  for (unsigned int i = 0; i < nvml.Count(); ++i) {
    if (const Gpu gpu = nvml.At(i)) {
      devices.push_back({.name = "cuda:" + std::to_string(i),
                         .description = nvml.NameOf(gpu),
                         .memory_bytes = nvml.MemoryOf(gpu),
                         .driver = driver,
                         .usable = false,
                         .problem = {}});
    }
  }
  return devices;
}

}  // namespace tyllm::jobs
