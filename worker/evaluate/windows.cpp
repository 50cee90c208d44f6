// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/windows.h"

#include <algorithm>
#include <string>

namespace tyllm::evaluate {

Result<std::int64_t> CountWindows(std::int64_t tokens, const domain::EvaluateOptions& options,
                                  const model::ModelShape& shape) {
  TYLLM_TRY(domain::Check(options));
  if (options.window < 2) {
    return InvalidArgument("window is " + std::to_string(options.window) +
                           " tokens, expected at least 2: one to see and one to predict");
  }
  if (options.window > shape.max_positions) {
    return InvalidArgument(
        "window is " + std::to_string(options.window) + " tokens, but the model has " +
        std::to_string(shape.max_positions) +
        " positions (max_position_embeddings or sliding_window of config.json); use a "
        "smaller --window");
  }
  const std::int64_t windows = tokens == 0 ? 0 : (tokens - 1) / options.window;
  if (windows == 0) {
    return InvalidArgument("the text has " + std::to_string(tokens) +
                           " tokens, but one window needs " + std::to_string(options.window + 1) +
                           "; use a longer text or a smaller --window");
  }
  return options.max_windows > 0 ? std::min(windows, options.max_windows) : windows;
}

std::vector<forward::TokenBatch> CutWindows(std::span<const std::int32_t> tokens,
                                            std::int64_t window, std::int64_t windows) {
  constexpr std::int64_t kBatchTokens = 2048;
  const std::int64_t together = std::max<std::int64_t>(1, kBatchTokens / window);
  std::vector<forward::TokenBatch> batches;
  for (std::int64_t first = 0; first < windows; first += together) {
    const std::int64_t count = std::min(together, windows - first);
    const auto ids = tokens.subspan(static_cast<std::size_t>(first * window),
                                    static_cast<std::size_t>(count * window));
    batches.push_back({.sequences = count, .length = window, .ids = {ids.begin(), ids.end()}});
  }
  return batches;
}

}  // namespace tyllm::evaluate
