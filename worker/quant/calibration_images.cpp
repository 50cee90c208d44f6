// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_images.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "worker/model/chat_template.h"
#include "worker/model/tokenizer.h"

namespace tyllm::quant {

namespace {

constexpr std::int64_t kPatchesAtOnce = 32768;

class Preparer {
 public:
  Preparer(const forward::Model& model, const forward::VisualPrompter& prompter,
           tensor::Backend& backend, const model::Tokenizer& tokenizer,
           vision::VisualSpelling spelling, std::int64_t seq_len)
      : model_(model),
        prompter_(prompter),
        shape_(prompter.tower().shape),
        backend_(backend),
        tokenizer_(tokenizer),
        spelling_(std::move(spelling)),
        seq_len_(seq_len) {}

  Status Add(const format::ImagePair& pair) {
    forward::VisualPrompt prompt;
    for (const Path& image : pair.Images()) {
      TYLLM_ASSIGN(prompt.media.emplace_back(),
                   vision::LoadMedium(model_.checkpoint.directory(), shape_, {image}));
    }
    TYLLM_ASSIGN(const std::string text, TextOf(pair));
    TYLLM_ASSIGN(const std::vector<std::int32_t> ids, tokenizer_.Encode(text));
    TYLLM_ASSIGN(prompt.ids, vision::ExpandPlaceholders(shape_, ids, prompt.media));
    if (!Cut(prompt.ids)) {
      ++made_.left_out;
      return OkStatus();
    }
    patches_ += prompt.patches();
    made_.images += std::ssize(prompt.media);
    prompts_.push_back(std::move(prompt));
    return patches_ >= kPatchesAtOnce ? Flush() : OkStatus();
  }

  Result<ImageCalibration> Finish() && {
    TYLLM_TRY(Flush());
    return std::move(made_);
  }

 private:
  std::string ContentOf(const format::PairMessage& message) const {
    std::string text;
    for (const format::MessagePart& part : message.parts) {
      text += part.image.empty() ? part.text : spelling_.start + spelling_.image + spelling_.end;
    }
    return text;
  }

  Result<std::string> TextOf(const format::ImagePair& pair) {
    std::vector<model::ChatMessage> messages;
    for (const format::PairMessage& message : pair.messages) {
      if (message.role.empty()) {
        return ContentOf(message);
      }
      messages.push_back({message.role, ContentOf(message)});
    }
    if (!template_) {
      TYLLM_ASSIGN(template_, model::ChatTemplate::Load(model_.checkpoint.directory()));
    }
    return template_->Render(messages, {.invite_answer = false});
  }

  bool IsVisual(std::int32_t id) const {
    return id == shape_.image_token || id == shape_.video_token;
  }

  /// Whether the sequence holds its images when it is cut.
  bool Cut(std::vector<std::int32_t>& ids) const {
    if (std::ssize(ids) <= seq_len_) {
      return !ids.empty();
    }
    const auto behind = ids.begin() + seq_len_;
    if (std::any_of(behind, ids.end(), [this](std::int32_t id) { return IsVisual(id); })) {
      return false;
    }
    ids.erase(behind, ids.end());
    return true;
  }

  Status Flush() {
    patches_ = 0;
    TYLLM_ASSIGN(std::vector<forward::VisualSequence> sequences,
                 prompter_.Read(std::exchange(prompts_, {}), backend_));
    for (forward::VisualSequence& sequence : sequences) {
      const std::int64_t tokens = std::ssize(sequence.ids);
      const std::int64_t of_images = std::ssize(sequence.visual->rows);
      made_.image_tokens += of_images;
      made_.text_tokens += tokens - of_images;
      made_.batches.push_back({.sequences = 1,
                               .length = tokens,
                               .ids = std::move(sequence.ids),
                               .visual = std::move(sequence.visual)});
    }
    return OkStatus();
  }

  const forward::Model& model_;
  const forward::VisualPrompter& prompter_;
  const model::VisionShape& shape_;
  tensor::Backend& backend_;
  const model::Tokenizer& tokenizer_;
  vision::VisualSpelling spelling_;
  std::int64_t seq_len_;
  std::optional<model::ChatTemplate> template_;
  std::vector<forward::VisualPrompt> prompts_;  ///< not yet through the tower
  std::int64_t patches_ = 0;                    ///< of them
  ImageCalibration made_;
};

}  // namespace

Result<ImageCalibration> PrepareImagePairs(const forward::Model& model, tensor::Backend& backend,
                                           const std::vector<format::ImagePair>& pairs,
                                           std::int64_t seq_len,
                                           const std::function<void(std::int64_t)>& after_sample) {
  TYLLM_ASSIGN(const forward::VisualPrompter prompter, forward::VisualPrompter::Open(model));
  TYLLM_ASSIGN(const model::Tokenizer tokenizer,
               model::Tokenizer::Load(model.checkpoint.directory()));
  TYLLM_ASSIGN(vision::VisualSpelling spelling,
               vision::SpellingOf(prompter.tower().shape, [&](std::int32_t id) {
                 return std::string(tokenizer.BytesOf(id));
               }));
  Preparer preparer(model, prompter, backend, tokenizer, std::move(spelling), seq_len);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    TYLLM_TRY(preparer.Add(pairs[i]).Annotate("calibration sample " + std::to_string(i + 1)));
    if (after_sample) {
      after_sample(static_cast<std::int64_t>(i) + 1);
    }
  }
  TYLLM_ASSIGN(ImageCalibration made, std::move(preparer).Finish());
  if (made.batches.empty()) {
    return InvalidArgument("none of the " + std::to_string(pairs.size()) +
                           " calibration samples fits " + std::to_string(seq_len) +
                           " tokens with its images; allow more (--seq-len 2048) or smaller "
                           "images (longest_edge of preprocessor_config.json)");
  }
  return made;
}

Result<std::vector<forward::TokenBatch>> ReadImageCalibration(
    const forward::Model& model, tensor::Backend& backend, const Path& file,
    const domain::QuantizeOptions& options, domain::ProgressSink& progress,
    QuantizationReport& report) {
  TYLLM_ASSIGN(const std::vector<format::ImagePair> pairs,
               format::ReadImagePairs(file, options.samples));
  const auto tell = [&](std::int64_t done, std::string message) {
    progress.Report({"images", done, std::ssize(pairs), "samples", std::move(message)});
  };
  TYLLM_ASSIGN(ImageCalibration made,
               PrepareImagePairs(model, backend, pairs, options.seq_len,
                                 [&](std::int64_t done) { tell(done, ""); }));
  const std::int64_t tokens = made.text_tokens + made.image_tokens;
  tell(std::ssize(pairs), std::to_string(made.images) +
                              " images: " + std::to_string(made.image_tokens) + " of " +
                              std::to_string(tokens) + " tokens");
  CalibrationReport& read = report.calibration.emplace();
  read.text = file.filename().string();
  read.samples = std::ssize(made.batches);
  read.seq_len = options.seq_len;
  read.tokens = tokens;
  read.images = made.images;
  read.image_tokens = made.image_tokens;
  if (made.left_out > 0) {
    report.warnings.push_back(std::to_string(made.left_out) + " of " +
                              std::to_string(pairs.size()) +
                              " calibration samples are longer than --seq-len with their images "
                              "and were left out");
  }
  return std::move(made.batches);
}

}  // namespace tyllm::quant
