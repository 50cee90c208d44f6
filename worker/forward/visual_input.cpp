// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/visual_input.h"

#include <algorithm>

#include "common/base/portable_math.h"

namespace tyllm::forward {

namespace {

/// change(hidden), in the host's memory.
template <typename F>
void ChangeOnHost(tensor::Backend& backend, tensor::Matrix& hidden, F change) {
  if (!hidden.on_device()) {
    change(hidden);
    return;
  }
  tensor::Matrix here = backend.Fetch(hidden.view());
  change(here);
  hidden = backend.Place(std::move(here));
}

}  // namespace

void VisualInput::Place(tensor::Backend& backend, tensor::Matrix& hidden) const {
  ChangeOnHost(backend, hidden, [this](tensor::Matrix& all) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::ranges::copy(tokens.row(static_cast<std::int64_t>(i)), all.row(rows[i]).begin());
    }
  });
}

void VisualInput::AddAfterLayer(std::int64_t layer, tensor::Backend& backend,
                                tensor::Matrix& hidden) const {
  if (layer >= std::ssize(deepstack)) {
    return;
  }
  const tensor::Matrix& added = deepstack[static_cast<std::size_t>(layer)];
  ChangeOnHost(backend, hidden, [&](tensor::Matrix& all) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::span<float> row = all.row(rows[i]);
      const std::span<const float> from = added.row(static_cast<std::int64_t>(i));
      for (std::size_t c = 0; c < row.size(); ++c) {
        row[c] += from[c];
      }
    }
  });
}

tensor::Matrix TextRotations(std::span<const float> frequencies, std::int32_t position,
                             std::int64_t count) {
  const std::int64_t half = std::ssize(frequencies);
  tensor::Matrix rotations(count, 2 * half);
  for (std::int64_t t = 0; t < count; ++t) {
    float* const row = rotations.row(t).data();
    for (std::int64_t pair = 0; pair < half; ++pair) {
      const auto at = static_cast<float>(position + t);
      const auto angle = static_cast<double>(at * frequencies[static_cast<std::size_t>(pair)]);
      row[pair] = static_cast<float>(PortableCos(angle));
      row[half + pair] = static_cast<float>(PortableSin(angle));
    }
  }
  return rotations;
}

}  // namespace tyllm::forward
