// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantization_memory.h"

#include <algorithm>

namespace tyllm::quant {

namespace {

constexpr std::int64_t kFloat = 4;
constexpr std::int64_t kHalf = 2;
/// Of a batch of calibration (calibration_samples.h); a longer sequence is a batch of its own.
constexpr std::int64_t kTokensAtOnce = 4096;
/// The program itself, its tables, and the tiles of a few threads.
constexpr std::int64_t kProgram = 96'000'000;

std::int64_t LayerParameters(const model::ModelShape& shape) {
  return shape.width * (2 * shape.q_columns() + 2 * shape.kv_columns() + 3 * shape.intermediate);
}

/// Values of a decoder layer that are alive at once.
std::int64_t ValuesOfToken(const model::ModelShape& shape) {
  return 3 * shape.width +
         std::max(2 * shape.q_columns() + 2 * shape.kv_columns(), 3 * shape.intermediate);
}

/// x^T x of each distinct input of a layer's linears.
std::int64_t GramElements(const model::ModelShape& shape) {
  const auto square = [](std::int64_t n) { return n * n; };
  return 2 * square(shape.width) + square(shape.q_columns()) + square(shape.intermediate);
}

}  // namespace

std::int64_t QuantizationMemory(const model::ModelShape& shape,
                                const domain::QuantizeOptions& options) {
  const std::int64_t table = shape.vocabulary * shape.width;
  const std::int64_t codes = LayerParameters(shape);  // a byte each
  const std::int64_t layer = kFloat * LayerParameters(shape);
  if (options.method == domain::QuantizeMethod::kRtn) {
    return kProgram + std::max(kHalf * table, layer + 2 * codes);
  }
  const std::int64_t hidden = kFloat * options.samples * options.seq_len * shape.width;
  const std::int64_t values =
      kFloat * std::max(kTokensAtOnce, options.seq_len) * ValuesOfToken(shape);
  const std::int64_t gram = kFloat * GramElements(shape);
  // The widest group of linears: its Gram matrix in the order of treatment and factored, one linear
  // scaled, codes of the layer so far and of a trial.
  const std::int64_t widest = std::max({shape.width, shape.q_columns(), shape.intermediate});
  const std::int64_t search =
      2 * kFloat * widest * widest +
      kFloat * shape.width * std::max(shape.intermediate, shape.q_columns()) + 2 * codes;
  return kProgram + std::max(kHalf * table, hidden + layer + gram + std::max(values, search));
}

}  // namespace tyllm::quant
