// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/perplexity.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/digest.h"
#include "worker/evaluate/score.h"
#include "worker/evaluate/windows.h"

namespace tyllm::evaluate {

namespace {

/// Both models must read the text as the same tokens.
Status CheckReference(Participants models, const std::string& text,
                      const std::vector<model::TokenId>& tokens) {
  const std::string names =
      "model " + models[0].directory.string() + " and reference " + models[1].directory.string();
  if (models[0].model.shape().vocabulary != models[1].model.shape().vocabulary) {
    return InvalidArgument(names + " have vocabularies of " +
                           std::to_string(models[0].model.shape().vocabulary) + " and " +
                           std::to_string(models[1].model.shape().vocabulary) +
                           " tokens, expected the same; compare a model with the one it was made "
                           "from");
  }
  TYLLM_ASSIGN(const std::vector<model::TokenId> other, models[1].tokenizer.Encode(text));
  if (tokens == other) {
    return OkStatus();
  }
  const auto [a, b] = std::ranges::mismatch(tokens, other);
  return InvalidArgument("the tokenizers of " + names + " differ: they read the text as other " +
                         "tokens from token " + std::to_string(a - tokens.begin()) +
                         " on; compare a model with the one it was made from");
}

/// Tells a sink how far the windows are, all blocks of all models together.
class WindowProgress {
 public:
  WindowProgress(domain::ProgressSink& sink, std::int64_t windows, std::int64_t blocks)
      : sink_(sink), windows_(windows), blocks_(blocks) {
    Add(0);
  }

  void Add(std::int64_t windows) {
    done_ += windows;
    sink_.Report({.stage = "evaluate",
                  .done = done_ / blocks_,
                  .total = windows_,
                  .unit = "windows",
                  .message = {}});
  }

 private:
  domain::ProgressSink& sink_;
  std::int64_t windows_;
  std::int64_t blocks_;
  std::int64_t done_ = 0;
};

/// Weights that are damaged show in the sums: not a number, or infinite.
Status CheckFinite(const Path& directory, double nll) {
  if (std::isfinite(nll)) {
    return OkStatus();
  }
  return DataLoss("model " + directory.string() +
                  " computes numbers that are not finite for this text; its weights are damaged or "
                  "overflow: fetch or make it again");
}

Status FillScore(const Participant& participant, double nll, double count, ModelScore& score) {
  TYLLM_TRY(CheckFinite(participant.directory, nll));
  score.nll = nll / count;
  score.perplexity = std::exp(*score.nll);
  return OkStatus();
}

}  // namespace

Result<ReadText> PrepareText(FileSystem& files, const Path& path,
                             const domain::EvaluateOptions& options, Participants models) {
  const auto read = files.Read(path);
  if (!read.ok()) {
    return Status(read.status().code(), "text to evaluate on: " + read.status().message() +
                                            "; give a file of UTF-8 text");
  }
  const std::string& text = *read;
  Result<std::vector<model::TokenId>> encoded = models[0].tokenizer.Encode(text);
  if (!encoded.ok()) {
    return encoded.status().Annotate("text to evaluate on: " + path.string());
  }
  const std::vector<model::TokenId> tokens = *std::move(encoded);
  TextScope scope{.name = path.filename().string(),
                  .sha256 = DigestOf(text).Hex(),
                  .tokens = static_cast<std::int64_t>(tokens.size()),
                  .window = options.window};
  for (const Participant& participant : models) {
    auto windows = CountWindows(scope.tokens, options, participant.model.shape());
    if (!windows.ok()) {
      return windows.status().Annotate(path.string());
    }
    scope.windows = *windows;
  }
  if (models.size() == 2) {
    TYLLM_TRY(CheckReference(models, text, tokens));
  }
  return ReadText{.scope = std::move(scope), .tokens = std::move(tokens)};
}

Status MeasurePerplexity(const ReadText& text, Participants models, tensor::Backend& backend,
                         domain::ProgressSink& progress, Report& report) {
  std::vector<const forward::Model*> opened;
  for (const Participant& participant : models) {
    opened.push_back(&participant.model);
  }
  WindowProgress windows(progress, text.scope.windows, BlocksOf(opened));
  TYLLM_ASSIGN(
      const ScoreSums sums,
      ScoreWindows(opened, backend, CutWindows(text.tokens, text.scope.window, text.scope.windows),
                   [&](std::int64_t count) { windows.Add(count); }));
  const auto count = static_cast<double>(sums.predictions);
  report.text = text.scope;
  report.text->predictions = sums.predictions;
  TYLLM_TRY(FillScore(models[0], sums.nll[0], count, report.model));
  if (models.size() == 2) {
    TYLLM_TRY(FillScore(models[1], sums.nll[1], count, *report.reference));
    report.perplexity_increase = std::exp(*report.model.nll - *report.reference->nll) - 1.0;
    report.kl_divergence = sums.divergence / count;
    report.top1_agreement = static_cast<double>(sums.agreements) / count;
  }
  return OkStatus();
}

}  // namespace tyllm::evaluate
