// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/file_system.h"
#include "worker/vision/medium.h"

namespace tyllm::evaluate {

struct DumpRequest {
  Path model;
  std::vector<std::int64_t> ids;
  std::vector<vision::Medium> media;  ///< images and videos that `ids` have tokens for
  Path file;
  std::string device = "auto";
  int threads = 0;
};

/// Runs the tokens as one sequence from position 0 and writes a safetensors file with input_ids
/// (I64 [1, n]), logits (F32 [1, n, vocabulary]) and hidden.0 (the embeddings) to hidden.N (after
/// the final norm; F32 [1, n, width]) (docs/formats/evaluation.md). The file appears complete or
/// not at all, and replaces nothing but a regular file outside of the model directory.
Status Dump(const DumpRequest& request, FileSystem& files);

/// The ids as the models' own type; what does not fit is an error naming it.
Result<std::vector<std::int32_t>> NarrowIds(const std::vector<std::int64_t>& ids,
                                            std::int64_t vocabulary);

}  // namespace tyllm::evaluate
