// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "common/base/parallel.h"
#include "worker/model/checkpoint.h"
#include "worker/plan/schedule.h"

namespace tyllm::compile {

/// How much of a matrix is read to find out how it is stored.
enum class Reading : std::uint8_t {
  kAll,
  kSample,  ///< a few row blocks: in no time, for what is told before the work; may be wrong
};

/// Those of the binary16 matrices outside the layers (head, embedding table) that lose nothing in
/// 12 bits: by module, and the exceptions that a row block needs room for at most. `dies` are
/// schedules of all dies, one each. Their tensors are read once, in pieces; one whose numbers have
/// more bits (a model that was trained or rotated in float16 or float32) only up to the first.
Result<std::map<std::string, std::int64_t>> MatricesIn12Bits(const model::Checkpoint& checkpoint,
                                                             std::span<const plan::Schedule> dies,
                                                             Reading reading, ThreadPool& pool);

}  // namespace tyllm::compile
