// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/domain/task_options.h"
#include "worker/forward/block_runner.h"
#include "worker/model/checkpoint.h"

namespace tyllm::quant {

/// Says of which work an unfinished folder is: two quantizations with one key write the same bytes.
/// Over the program's version, the options, the kind of device, the calibration tokens and how they
/// are cut into sequences, the files
/// of the model that hold no weights, and of every tensor its name, type and shape and 64 KiB of
/// its bytes in evenly spread pieces (a model that was trained further differs in all of them, and
/// a whole digest would take as long as quantizing on a GPU). No paths: another machine has others.
Result<std::string> QuantizationKey(const model::Checkpoint& checkpoint,
                                    const domain::QuantizeOptions& options, std::string_view device,
                                    std::span<const forward::TokenBatch> batches);

/// What image-text pairs add to the key: the file that describes them and the content of each image
/// of the first `most` samples.
Result<std::string> ImagePairsKey(const Path& file, std::int64_t most);

}  // namespace tyllm::quant
