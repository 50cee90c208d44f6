// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "worker/model/linear_format.h"
#include "worker/quant/code_sum.h"

namespace tyllm::quant {

/// A linear layer as the tensors that its file will hold, in the host's memory.
struct PackedLinear {
  const model::LinearFormat* format = nullptr;
  model::LinearSize size;
  std::vector<model::PackedPart> parts;  ///< of format->pack
  CodeSum sum;                           ///< of the codes, taken before they were packed
};

/// On this thread. What the layout cannot hold is an error.
Result<PackedLinear> PackCodes(const model::QuantizedMatrix& matrix,
                               const model::LinearFormat& format);
/// The codes, zero points and scales that were packed.
Result<model::QuantizedMatrix> UnpackCodes(const PackedLinear& packed);

/// The bytes of one of its tensors; it must have that.
std::span<const std::byte> BytesOf(const PackedLinear& packed, model::LinearPart part);

}  // namespace tyllm::quant
