// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_samples.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <string>

#include "worker/model/chat_template.h"
#include "worker/quant/calibration_documents.h"
#include "worker/quant/random_numbers.h"

namespace tyllm::quant {

namespace {

/// Enough text for a token of any text that people write; more is read only when that was wrong.
constexpr std::size_t kBytesPerToken = 64;

/// The documents in the order in which they are taken.
std::vector<std::int64_t> OrderOf(std::int64_t documents, std::int64_t seed) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(documents));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  if (seed != 0) {
    // Fisher-Yates; the remainder's bias is far below anything that matters here.
    const RandomWords random("calibration " + std::to_string(seed));
    for (std::size_t left = order.size(); left > 1; --left) {
      std::swap(order[left - 1], order[random.At(left) % left]);
    }
  }
  return order;
}

/// Tokens of documents as sequences.
class SampleCutter {
 public:
  explicit SampleCutter(const domain::QuantizeOptions& options)
      : how_(options.calibration), samples_(options.samples), seq_len_(options.seq_len) {}

  bool IsFull() const { return Missing() == 0; }

  /// Tokens that are certain to be enough.
  std::int64_t Missing() const {
    return how_.pad ? (samples_ - std::ssize(lengths_)) * seq_len_
                    : samples_ * seq_len_ - std::ssize(ids_);
  }

  void Add(std::span<const std::int32_t> document) {
    while (!document.empty() && !IsFull()) {
      const std::int64_t in_window =
          how_.concat ? seq_len_ - std::ssize(ids_) % seq_len_ : seq_len_;
      const auto count =
          static_cast<std::size_t>(std::min({std::ssize(document), in_window, Missing()}));
      ids_.insert(ids_.end(), document.begin(),
                  document.begin() + static_cast<std::ptrdiff_t>(count));
      lengths_.push_back(static_cast<std::int64_t>(count));
      document = document.subspan(count);
    }
  }

  std::span<const std::int32_t> ids() const { return ids_; }

  /// Pieces of documents that end with a document, or with a sample.
  std::int64_t pieces() const { return std::ssize(lengths_); }

  /// Of what attention sees as one.
  std::vector<std::int64_t> Lengths() const {
    if (how_.concat && !how_.isolate_documents) {
      return std::vector<std::int64_t>(static_cast<std::size_t>(samples_), seq_len_);
    }
    return lengths_;
  }

 private:
  domain::CalibrationOptions how_;
  std::int64_t samples_;
  std::int64_t seq_len_;
  std::vector<std::int32_t> ids_;
  std::vector<std::int64_t> lengths_;
};

class CalibrationReader {
 public:
  CalibrationReader(const model::Tokenizer& tokenizer, const CalibrationDocuments& documents,
                    std::optional<model::ChatTemplate> chat)
      : tokenizer_(tokenizer), documents_(documents), chat_(std::move(chat)) {}

  Result<std::vector<std::int32_t>> Encode(std::int64_t document, std::int64_t needed) const {
    const std::size_t enough = static_cast<std::size_t>(needed) * kBytesPerToken;
    TYLLM_ASSIGN(CalibrationDocument read, documents_.Read(document, enough));
    TYLLM_ASSIGN(std::vector<std::int32_t> tokens, EncodeText(document, read));
    if (!read.is_cut || std::ssize(tokens) >= needed) {
      return tokens;
    }
    TYLLM_ASSIGN(read, documents_.Read(document, std::string_view::npos));
    return EncodeText(document, read);
  }

 private:
  Result<std::vector<std::int32_t>> EncodeText(std::int64_t document,
                                               const CalibrationDocument& read) const {
    const auto tokens = [&]() -> Result<std::vector<std::int32_t>> {
      TYLLM_ASSIGN(const std::string text, TextOf(read));
      return tokenizer_.Encode(text);
    }();
    return tokens.ok()
               ? tokens
               : tokens.status().Annotate("calibration text " + documents_.NameOf(document));
  }

  /// In the model's format when that was asked for; else what was said, and nothing around it.
  Result<std::string> TextOf(const CalibrationDocument& document) const {
    if (chat_) {
      const std::vector<model::ChatMessage> alone = {{"user", document.text}};
      return chat_->Render(document.messages.empty() ? alone : document.messages,
                           {.invite_answer = false});
    }
    std::string text = document.text;
    for (const model::ChatMessage& message : document.messages) {
      text += (text.empty() ? "" : "\n\n") + message.content;
    }
    return text;
  }

  const model::Tokenizer& tokenizer_;
  const CalibrationDocuments& documents_;
  std::optional<model::ChatTemplate> chat_;
};

Status TooLittle(const Path& text, const SampleCutter& cutter, std::int64_t documents,
                 const domain::QuantizeOptions& options) {
  const auto number = [](std::int64_t n) { return std::to_string(n); };
  const std::string what = "calibration text " + text.string() + " has ";
  const std::string samples = number(options.samples) + " samples of " + number(options.seq_len);
  if (options.calibration.pad) {
    return InvalidArgument(what + number(cutter.pieces()) + " pieces of up to " +
                           number(options.seq_len) + " tokens in " + number(documents) +
                           " documents, expected " + number(options.samples) +
                           "; give more text, or at most " + number(cutter.pieces()) + " samples");
  }
  const std::int64_t found = std::ssize(cutter.ids());
  return InvalidArgument(what + number(found) + " tokens in " + number(documents) +
                         " documents, expected at least " +
                         number(options.samples * options.seq_len) + " (" + samples +
                         "); give a longer text, or at most " + number(found / options.seq_len) +
                         " samples of this length");
}

}  // namespace

Result<CalibrationSamples> ReadCalibration(const Path& model, const model::Tokenizer& tokenizer,
                                           const Path& text, const domain::QuantizeOptions& options,
                                           std::int64_t tokens_at_once) {
  TYLLM_ASSIGN(const CalibrationDocuments documents,
               CalibrationDocuments::Open(text, options.calibration.column));
  std::optional<model::ChatTemplate> chat;
  if (options.calibration.chat_template) {
    auto found = model::ChatTemplate::Load(model);
    if (!found.ok()) {
      return found.status().Annotate("--chat-template");
    }
    chat = *std::move(found);
  }
  const CalibrationReader reader(tokenizer, documents, std::move(chat));
  SampleCutter cutter(options);
  std::int64_t used = 0;
  for (const std::int64_t document : OrderOf(documents.size(), options.calibration.seed)) {
    if (cutter.IsFull()) {
      break;
    }
    TYLLM_ASSIGN(const std::vector<std::int32_t> tokens, reader.Encode(document, cutter.Missing()));
    used += tokens.empty() ? 0 : 1;
    cutter.Add(tokens);
  }
  if (!cutter.IsFull()) {
    return TooLittle(text, cutter, documents.size(), options);
  }
  const std::vector<std::int64_t> lengths = cutter.Lengths();
  const std::set<std::int32_t> distinct(cutter.ids().begin(), cutter.ids().end());
  return CalibrationSamples{CutIntoBatches(cutter.ids(), lengths, tokens_at_once),
                            {.text = text.filename().string(),
                             .samples = options.samples,
                             .seq_len = options.seq_len,
                             .tokens = std::ssize(cutter.ids()),
                             .documents = used,
                             .documents_found = documents.size(),
                             .sequences = std::ssize(lengths),
                             .shortest = std::ranges::min(lengths),
                             .distinct_tokens = std::ssize(distinct),
                             .known_tokens = tokenizer.size()}};
}

std::vector<forward::TokenBatch> CutIntoBatches(std::span<const std::int32_t> ids,
                                                std::span<const std::int64_t> lengths,
                                                std::int64_t tokens_at_once) {
  std::vector<forward::TokenBatch> batches;
  for (std::size_t next = 0; next < lengths.size();) {
    const std::size_t first = next;
    std::int64_t tokens = 0;
    while (next < lengths.size() && (next == first || tokens + lengths[next] <= tokens_at_once)) {
      tokens += lengths[next++];
    }
    const auto part = lengths.subspan(first, next - first);
    const bool is_even = std::ranges::count(part, part.front()) == std::ssize(part);
    const auto own = ids.first(static_cast<std::size_t>(tokens));
    ids = ids.subspan(own.size());
    batches.push_back({.sequences = std::ssize(part),
                       .length = is_even ? part.front() : 0,
                       .ids = {own.begin(), own.end()},
                       .lengths = {}});
    if (!is_even) {
      batches.back().lengths.assign(part.begin(), part.end());
    }
  }
  return batches;
}

}  // namespace tyllm::quant
