// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/model/checkpoint.h"
#include "worker/plan/tower_schedule.h"

namespace tyllm::compile {

/// Writes die `die`'s part of a tower as an ONNX model (docs/formats/onnx.md) and its weights, in
/// binary16, as `<path>.data` beside it.
Status WriteTowerOnnx(FileSystem& files, const model::Checkpoint& checkpoint,
                      const plan::TowerSchedule& schedule, std::int64_t die, const Path& path);

}  // namespace tyllm::compile
