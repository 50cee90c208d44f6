// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "worker/model/model_shape.h"

namespace tyllm::model {

/// Bytes of the weights in 16-bit floating point.
std::int64_t FloatBytes(const ModelShape& shape);

/// Bytes of the weights when the linear layers of the decoder have 4 bits, with a 16-bit scale and
/// a 4-bit zero point a group of `group` columns, and the embedding, the head and the norms stay in
/// 16-bit floating point.
std::int64_t QuantizedBytes(const ModelShape& shape, std::int64_t group);

}  // namespace tyllm::model
