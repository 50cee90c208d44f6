// SPDX-License-Identifier: Apache-2.0
// What worker/tensor/device_plugin.cpp finds in libtyllm_cuda.so.
#include "worker/cuda/cuda_backend.h"
#include "worker/tensor/device_plugin.h"

namespace tyllm::cuda {

namespace {

/// How many GPUs there are, or why none can be used.
Result<int> CountDevices() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    return FailedPrecondition(error == cudaSuccess
                                  ? std::string("the driver knows no GPU")
                                  : std::string("CUDA says: ") + cudaGetErrorString(error));
  }
  return count;
}

/// What code is made for (CMakeLists.txt); older GPUs fail at their first kernel.
constexpr int kLowestCapability = 8;

Status CheckCapability(int number) {
  int major = 0;
  int minor = 0;
  Check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, number),
        "cudaDeviceGetAttribute");
  Check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, number),
        "cudaDeviceGetAttribute");
  if (major >= kLowestCapability) {
    return OkStatus();
  }
  return FailedPrecondition("it has compute capability " + std::to_string(major) + "." +
                            std::to_string(minor) + ", expected " +
                            std::to_string(kLowestCapability) + ".0 or later");
}

Result<std::unique_ptr<tensor::Backend>> Make(int number) {
  TYLLM_ASSIGN(const int count, CountDevices());
  if (number >= count) {
    return FailedPrecondition("this machine has " + std::to_string(count) + " GPU" +
                              (count == 1 ? "" : "s") + ", numbered from 0");
  }
  try {
    TYLLM_TRY(CheckCapability(number));
    return std::unique_ptr<tensor::Backend>(std::make_unique<CudaBackend>(number));
  } catch (const tensor::DeviceError& error) {
    return FailedPrecondition(error.what());
  }
}

}  // namespace

}  // namespace tyllm::cuda

extern "C" {
__attribute__((visibility("default"))) extern const tyllm::tensor::DevicePlugin tyllm_device_plugin;
const tyllm::tensor::DevicePlugin tyllm_device_plugin = {.abi = tyllm::tensor::kDevicePluginAbi,
                                                         .make = tyllm::cuda::Make};
}
