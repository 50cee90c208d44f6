// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "worker/quant/cpu_layer_kernels.h"

namespace tyllm::testing {

/// The CPU, on two threads, as what quantization computes with.
struct CpuMachine {
  std::unique_ptr<tensor::Backend> backend = *tensor::MakeBackend("cpu", 2);
  tensor::TaskLanes lanes{2};
  quant::CpuLayerKernels kernels{lanes};
  quant::LayerMachine machine{*backend, kernels};
};

}  // namespace tyllm::testing
