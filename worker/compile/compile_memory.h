// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/domain/task_options.h"
#include "worker/model/model_shape.h"

namespace tyllm::compile {

/// The program itself, its tables and the tokenizer: what CompileMemory counts of any model.
inline constexpr std::int64_t kMemoryOfProgram = 96'000'000;

/// Bytes of memory that compiling a text model takes at most, from looking at it to the run that
/// proves it, pages of mapped files included: they are given back as soon as they were used. The
/// compilers are processes of their own and come besides. Of the layers it depends only as far as
/// the KV caches of the run do, some megabytes each. `group` 0: nothing is quantized.
std::int64_t CompileMemory(const model::ModelShape& shape, std::int64_t group,
                           const domain::CompileOptions& options, std::int64_t threads);

}  // namespace tyllm::compile
