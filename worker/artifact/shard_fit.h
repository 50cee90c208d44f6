// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/artifact/buffer_config.h"
#include "worker/model/model_shape.h"

namespace tyllm::artifact {

/// Whether the dies of buffer_config.json (`path`) cover the model that config.json describes:
/// heads in every reduce group, each with the KV heads that it reads; intermediate columns,
/// vocabulary; and no more tokens than there are positions. kDataLoss names what does not.
Status CheckShardFit(const BufferConfig& config, const model::ModelShape& shape, const Path& path);

}  // namespace tyllm::artifact
