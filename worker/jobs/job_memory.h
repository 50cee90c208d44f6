// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <tuple>

#include "common/format/json.h"
#include "worker/model/model_shape.h"

namespace tyllm::jobs {

/// About how many bytes of memory the jobs of a model need at most, on a CPU and besides mapped
/// files, whose pages the system takes back as it needs them. None depends on the number of layers
/// but `run`, which holds the model. docs/manual/tyllm-models.md has the formulas.
struct JobMemory {
  std::int64_t quantize = 0;  ///< 128 x 512 tokens of calibration, 16 threads
  std::int64_t evaluate = 0;
  std::int64_t compile = 0;
  std::int64_t run = 0;  ///< all dies of the simulator together, 4096 tokens of KV cache
};

JobMemory MemoryOfJobs(const model::ModelShape& shape, std::int64_t group);

}  // namespace tyllm::jobs

template <>
struct tyllm::format::Members<tyllm::jobs::JobMemory> {
  using M = tyllm::jobs::JobMemory;
  static constexpr auto kTable =
      std::tuple{Member{"quantize", &M::quantize}, Member{"evaluate", &M::evaluate},
                 Member{"compile", &M::compile}, Member{"run", &M::run}};
};
