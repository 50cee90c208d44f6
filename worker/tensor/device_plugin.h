// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "worker/tensor/backend.h"

namespace tyllm::tensor {

/// Grows with every change of Backend, Matrix, quant::LayerKernels or of this.
inline constexpr int kDevicePluginAbi = 5;

/// What a shared object with a back end exports as `tyllm_device_plugin`. It is built from the same
/// sources as the program that loads it, by the same compiler: `abi` guards against a stray file.
struct DevicePlugin {
  int abi = 0;
  Result<std::unique_ptr<Backend>> (*make)(int device) = nullptr;
};

/// The back end of CUDA from libtyllm_cuda.so, which lies beside the program, in ../lib or in
/// ../lib/tyllm. kFailedPrecondition says why there is none: no such file, libraries that it needs,
/// no driver, no GPU of this number. The file stays loaded.
Result<std::unique_ptr<Backend>> MakeCudaBackend(int device);

}  // namespace tyllm::tensor
