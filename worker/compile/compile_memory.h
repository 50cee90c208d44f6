// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/domain/task_options.h"
#include "worker/compile/visual/tower_build.h"
#include "worker/model/model_shape.h"
#include "worker/simulator/engine.h"

namespace tyllm::compile {

/// The program itself, its tables and the tokenizer: what CompileMemory counts of any model.
inline constexpr std::int64_t kMemoryOfProgram = 96'000'000;

/// Bytes of memory that compiling a model takes at most, from looking at it to the run that
/// proves it, pages of mapped files included: they are given back as soon as they were used. The
/// compilers are processes of their own and come besides. Of the layers it depends only as far as
/// the KV caches of the run do, some megabytes each. `group` 0: nothing is quantized. `engine` is
/// what the run takes: where there is no compiler, or another CPU is compiled for, the interpreter.
/// `tower` of a model that sees, whose tower is run as a whole to prove it; nullptr: only its text
/// is compiled.
std::int64_t CompileMemory(const model::ModelShape& shape, std::int64_t group,
                           const domain::CompileOptions& options, std::int64_t threads,
                           simulator::Engine engine = simulator::Engine::kCompiled,
                           const TowerPlan* tower = nullptr);

}  // namespace tyllm::compile
