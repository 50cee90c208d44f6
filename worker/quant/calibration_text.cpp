// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_text.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace tyllm::quant {

namespace {

/// Enough text for a token of any text that people write; more is read only when that was wrong.
constexpr std::uintmax_t kBytesPerToken = 64;

/// A text that is much longer than needed, cut at a line's end.
std::string_view Shorten(std::string_view text, std::int64_t tokens) {
  const auto enough = static_cast<std::size_t>(tokens) * kBytesPerToken;
  if (text.size() <= enough) {
    return text;
  }
  const std::size_t line_end = text.find('\n', enough);
  return line_end == std::string_view::npos ? text : text.substr(0, line_end + 1);
}

Result<std::vector<std::int32_t>> Encode(const model::Tokenizer& tokenizer, std::string_view text,
                                         std::int64_t needed) {
  const std::string_view part = Shorten(text, needed);
  TYLLM_ASSIGN(std::vector<std::int32_t> tokens, tokenizer.Encode(part));
  if (static_cast<std::int64_t>(tokens.size()) >= needed || part.size() == text.size()) {
    return tokens;
  }
  return tokenizer.Encode(text);
}

}  // namespace

Result<std::vector<std::int32_t>> ReadCalibrationTokens(const model::Tokenizer& tokenizer,
                                                        const Path& text, std::int64_t samples,
                                                        std::int64_t seq_len) {
  auto content = LocalFileSystem().Read(text);
  if (!content.ok()) {
    return content.status().Annotate("calibration text");
  }
  const std::int64_t needed = samples * seq_len;
  auto encoded = Encode(tokenizer, *content, needed);
  if (!encoded.ok()) {
    return encoded.status().Annotate("calibration text " + text.string());
  }
  std::vector<std::int32_t> tokens = *std::move(encoded);
  const auto found = static_cast<std::int64_t>(tokens.size());
  if (found < needed) {
    return InvalidArgument("calibration text " + text.string() + " has " + std::to_string(found) +
                           " tokens, expected at least " + std::to_string(needed) + " (" +
                           std::to_string(samples) + " samples of " + std::to_string(seq_len) +
                           "); give a longer text, or at most " + std::to_string(found / seq_len) +
                           " samples of this length");
  }
  tokens.resize(static_cast<std::size_t>(needed));
  return tokens;
}

std::vector<forward::TokenBatch> CutIntoBatches(std::span<const std::int32_t> tokens,
                                                std::int64_t seq_len, std::int64_t tokens_at_once) {
  const std::int64_t sequences = static_cast<std::int64_t>(tokens.size()) / seq_len;
  const std::int64_t at_once = std::max<std::int64_t>(1, tokens_at_once / seq_len);
  std::vector<forward::TokenBatch> batches;
  for (std::int64_t first = 0; first < sequences; first += at_once) {
    const std::int64_t count = std::min(at_once, sequences - first);
    const auto part = tokens.subspan(static_cast<std::size_t>(first * seq_len),
                                     static_cast<std::size_t>(count * seq_len));
    batches.push_back({count, seq_len, {part.begin(), part.end()}});
  }
  return batches;
}

}  // namespace tyllm::quant
