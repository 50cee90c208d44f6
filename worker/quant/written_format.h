// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/task_options.h"
#include "worker/model/checkpoint_format.h"

namespace tyllm::quant {

/// What people ask for by the names that checkpoints are read under.
constexpr model::CheckpointFormat WrittenFormat(domain::QuantizedFormat format) {
  return *model::kCheckpointFormatNames.Find(domain::kQuantizedFormatNames.Name(format));
}

static_assert(WrittenFormat(domain::QuantizedFormat::kAmtc) == model::CheckpointFormat::kAmtc);
static_assert(WrittenFormat(domain::QuantizedFormat::kAwq) == model::CheckpointFormat::kAwqGemm);
static_assert(WrittenFormat(domain::QuantizedFormat::kCompressedTensors) ==
              model::CheckpointFormat::kCompressedTensors);

}  // namespace tyllm::quant
