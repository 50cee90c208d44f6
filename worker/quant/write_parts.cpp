// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/write_parts.h"

#include <algorithm>
#include <utility>

#include "worker/quant/half_tensors.h"
#include "worker/quant/layer_output.h"

namespace tyllm::quant {

namespace {

/// What is in memory of a tensor at once: an embedding alone may be larger than all else.
constexpr std::size_t kPieceBytes = std::size_t{8} << 20U;

/// A tensor that is not quantized: as fp16, or as it is where the model does not read it.
Status PassOn(const model::Checkpoint& checkpoint, const std::string& name, bool as_it_is,
              tensor::TaskLanes& lanes, PartFiles& parts) {
  TYLLM_ASSIGN(const format::TensorView tensor, checkpoint.Find(name));
  for (std::size_t first = 0; first == 0 || first < tensor.bytes.size(); first += kPieceBytes) {
    format::TensorView piece = tensor;
    piece.bytes = tensor.bytes.subspan(first, std::min(kPieceBytes, tensor.bytes.size() - first));
    if (as_it_is) {
      TYLLM_TRY(parts.Append(name, piece.bytes));
    } else {
      const auto halves = ToHalf(name, piece, lanes);
      if (!halves.ok()) {
        const Status status = halves.status().Annotate(checkpoint.directory().string());
        return first == 0 ? status : status.Annotate("counting from byte " + std::to_string(first));
      }
      TYLLM_TRY(parts.Append(name, std::as_bytes(std::span(*halves))));
    }
    checkpoint.Forget(name);
  }
  return OkStatus();
}

}  // namespace

Status WriteEnds(const model::Checkpoint& checkpoint, const QuantizePlan& plan,
                 tensor::TaskLanes& lanes, PartFiles& parts) {
  for (const std::size_t part : {std::size_t{0}, parts.size() - 1}) {
    if (parts.Find(part) != nullptr) {
      continue;
    }
    TYLLM_TRY(parts.Begin(part));
    for (const format::TensorSpec& tensor : plan.parts[part].tensors) {
      const bool as_it_is = std::ranges::find(plan.copied, tensor.name) != plan.copied.end();
      TYLLM_TRY(PassOn(checkpoint, tensor.name, as_it_is, lanes, parts));
    }
    TYLLM_TRY(parts.End({}));
  }
  return OkStatus();
}

Status WriteLayer(const graph::Block& block, QuantizedLayer& layer, const QuantizePlan& plan,
                  std::size_t part, tensor::TaskLanes& lanes, PartFiles& parts) {
  TYLLM_ASSIGN(LayerOutput output, PackLayer(block, layer, plan.format, lanes));
  TYLLM_TRY(parts.Begin(part));
  for (const LayerOutput::Tensor& tensor : output.tensors) {
    TYLLM_TRY(parts.Write(tensor.name, tensor.bytes));
  }
  return parts.End({.codes = std::move(output.codes), .linears = layer.reports});
}

}  // namespace tyllm::quant
