// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantization_memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "worker/quant/followed_batches.h"

namespace tyllm::quant {

namespace {

constexpr std::int64_t kFloat = 4;
/// Of a batch of calibration (calibration_samples.h); a longer sequence is a batch of its own.
constexpr std::int64_t kTokensAtOnce = 4096;
/// The program itself and its tables.
constexpr std::int64_t kProgram = 96'000'000;
/// Of a thread, for each column of the widest input: 64 rows on their way to integers (code_tile.h,
/// code_refinement.cpp), and 384 rows that the BLAS has in an order of its own.
constexpr std::int64_t kBytesOfThread = 64 * 16 + 384 * kFloat;

/// Numbers of one stage of a decoder layer (layer_stages.h).
struct Stage {
  std::int64_t weights = 0;
  std::int64_t gram = 0;    ///< x^T x of each distinct input of linears
  std::int64_t values = 0;  ///< of a token: what is alive at once
  /// Of a token: the float model's first input of linears and its states, the input of the last
  /// linear, and the states after the stage, new and old.
  std::int64_t compared = 0;
  std::int64_t drift = 0;
  std::int64_t widest = 0;   ///< input
  std::int64_t largest = 0;  ///< linear
};

Stage Attention(const model::ModelShape& shape) {
  const std::int64_t q = shape.q_columns();
  const std::int64_t kv = shape.kv_columns();
  const std::int64_t width = shape.width;
  return {.weights = width * (2 * q + 2 * kv),
          .gram = width * width + q * q,
          .values = 3 * width + 2 * q + 2 * kv,
          .compared = q + 4 * width,
          .drift = 2 * width * width + q * width,
          .widest = std::max(width, q),
          .largest = width * q};
}

Stage Mlp(const model::ModelShape& shape) {
  const std::int64_t inner = shape.intermediate;
  const std::int64_t width = shape.width;
  return {.weights = 3 * width * inner,
          .gram = width * width + inner * inner,
          .values = 3 * width + 3 * inner,
          .compared = inner + 4 * width,
          .drift = 2 * width * width + inner * width,
          .widest = std::max(width, inner),
          .largest = width * inner};
}

/// While a stage is calibrated and quantized, beside hidden states, the layer's weights and `codes`
/// of its stages before.
std::int64_t StagePeak(const Stage& stage, std::int64_t tokens_at_once, bool follows,
                       std::int64_t codes) {
  const std::int64_t square = stage.widest * stage.widest;
  const std::int64_t drift = follows ? stage.drift : 0;
  const std::int64_t run = drift + tokens_at_once * (stage.values + (follows ? stage.compared : 0));
  const std::int64_t correction = follows ? drift + square + stage.largest : 0;
  // The Gram matrix in the order of treatment and factored, and one linear scaled; codes of the
  // stage so far and of a trial, a byte each.
  const std::int64_t search = kFloat * (2 * square + stage.largest) + 2 * stage.weights;
  return codes + kFloat * stage.gram + std::max({kFloat * run, kFloat * correction, search});
}

}  // namespace

std::int64_t QuantizationMemory(const model::ModelShape& shape,
                                const domain::QuantizeOptions& options, std::int64_t threads) {
  const Stage attention = Attention(shape);
  const Stage mlp = Mlp(shape);
  const std::int64_t codes = attention.weights + mlp.weights;  // a byte each
  const std::int64_t fixed =
      kProgram + threads * kBytesOfThread * std::max(attention.widest, mlp.widest);
  if (options.method == domain::QuantizeMethod::kRtn) {
    return fixed + kFloat * codes + 2 * codes;
  }
  const std::int64_t at_once = std::max(kTokensAtOnce, options.seq_len);
  const std::int64_t tokens = options.samples * options.seq_len;
  const std::int64_t followed =
      options.follows_quantized() ? FollowedBatches((tokens + at_once - 1) / at_once) * at_once : 0;
  const bool follows = followed > 0;
  const std::int64_t hidden = kFloat * (tokens + std::min(followed, tokens)) * shape.width;
  const std::int64_t layer =
      std::max(kFloat * codes + StagePeak(attention, at_once, follows, 0),
               kFloat * mlp.weights + StagePeak(mlp, at_once, follows, attention.weights));
  return fixed + hidden + layer;
}

std::int64_t PeakMemoryBytes() {
  // Not ru_maxrss: that begins with what the process had before it became this program.
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    constexpr std::string_view kPeak = "VmHWM:";
    if (line.starts_with(kPeak)) {
      return std::strtoll(line.c_str() + kPeak.size(), nullptr, 10) * 1024;
    }
  }
  return 0;
}

}  // namespace tyllm::quant
