// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/packed_linear.h"

#include <algorithm>
#include <utility>

#include "worker/model/quantized_linear.h"

namespace tyllm::quant {

namespace {

model::LinearTraits TraitsOf(const PackedLinear& packed) {
  return {.group = packed.size.group};
}

}  // namespace

Result<PackedLinear> PackCodes(const model::QuantizedMatrix& matrix,
                               const model::LinearFormat& format) {
  PackedLinear packed{&format, {matrix.rows, matrix.columns, matrix.group}, {}, {}};
  TYLLM_ASSIGN(packed.parts, format.pack(matrix));
  packed.sum = SumOfCodes(matrix);
  return packed;
}

Result<model::QuantizedMatrix> UnpackCodes(const PackedLinear& packed) {
  const model::LinearTraits traits = TraitsOf(packed);
  std::vector<format::TensorView> views;
  std::vector<model::LinearPart> parts;
  for (model::PartSpec& spec : packed.format->parts(packed.size, traits)) {
    const auto found = std::ranges::find(packed.parts, spec.key, &model::PackedPart::key);
    if (found != packed.parts.end()) {
      views.push_back({spec.dtypes.front(), std::move(spec.shape), found->bytes});
      parts.push_back(spec.part);
    }
  }
  model::LinearTensors tensors{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    tensors[model::IndexOf(parts[i])] = &views[i];
  }
  TYLLM_ASSIGN(model::QuantizedLinear opened,
               model::QuantizedLinear::Open(*packed.format, packed.size, traits, tensors));
  return std::move(opened).ReadAll();
}

std::span<const std::byte> BytesOf(const PackedLinear& packed, model::LinearPart part) {
  const std::vector<model::PartSpec> specs = packed.format->parts(packed.size, TraitsOf(packed));
  const auto spec = std::ranges::find(specs, part, &model::PartSpec::part);
  TYLLM_CHECK(spec != specs.end());
  const auto found = std::ranges::find(packed.parts, spec->key, &model::PackedPart::key);
  TYLLM_CHECK(found != packed.parts.end());
  return found->bytes;
}

}  // namespace tyllm::quant
