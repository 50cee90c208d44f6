// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "worker/compile/object_builder.h"
#include "worker/model/model_shape.h"
#include "worker/model/vision_shape.h"

namespace tyllm::compile {

/// Kind of the program that computes rope's tables of positions in time, height and width.
inline constexpr std::string_view kMropeProgram = "mrope";

/// For at most `max_kv` tokens with heads of `head_size`. In terms of die::Program: token_ids are
/// positions [3, max_kv], of which columns history .. history + tokens are read; the rows of those
/// tokens are written to logits [max_kv, head_size]. `common` is the file of parameters.
GeneratedProgram GenerateMrope(std::int64_t max_kv, std::int64_t head_size,
                               std::string_view target_cpu);

/// The files of dies `dies` in the folder mrope/ below `root`.
Status WriteMropeDies(FileSystem& files, const model::ModelShape& shape,
                      const model::VisionShape& vision, std::int64_t max_kv,
                      const std::vector<std::int64_t>& dies, const ObjectBuilder& builder,
                      const Path& root);

/// What all of `dies` dies share, and compute_rope_param.*, copies of die 0's files.
Status WriteMropeFiles(FileSystem& files, const model::ModelShape& shape, std::int64_t max_kv,
                       std::int64_t dies, const Path& root);

}  // namespace tyllm::compile
