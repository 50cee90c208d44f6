// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/domain/devices.h"

namespace tyllm::jobs {

/// The NVIDIA GPUs of this machine in the order of nvidia-smi, as devices "cuda:0", "cuda:1", ...,
/// none where the driver's management library (NVML, libnvidia-ml.so.1) is absent. Says nothing
/// about what can compute with them. Source of the calls: NVML API reference, r535.
std::vector<domain::Device> FindNvidiaGpus();

}  // namespace tyllm::jobs
