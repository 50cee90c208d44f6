// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "common/base/digest.h"
#include "worker/evaluate/score.h"
#include "worker/evaluate/windows.h"
#include "worker/model/tokenizer.h"

namespace tyllm::evaluate {

namespace {

using Tokens = std::vector<model::TokenId>;

std::string FolderName(const Path& directory) {
  const Path whole = std::filesystem::absolute(directory).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

Result<Tokens> Encode(const Path& directory, const std::string& text) {
  TYLLM_ASSIGN(const model::Tokenizer tokenizer, model::Tokenizer::Load(directory));
  return tokenizer.Encode(text);
}

/// Both models must read the text as the same tokens.
Status CheckReference(const Request& request, const forward::Model& model,
                      const forward::Model& reference, const std::string& text,
                      const Tokens& tokens) {
  const std::string names =
      "model " + request.model.string() + " and reference " + request.reference->string();
  if (model.shape().vocabulary != reference.shape().vocabulary) {
    return InvalidArgument(names + " have vocabularies of " +
                           std::to_string(model.shape().vocabulary) + " and " +
                           std::to_string(reference.shape().vocabulary) +
                           " tokens, expected the same; compare a model with the one it was made "
                           "from");
  }
  TYLLM_ASSIGN(const Tokens other, Encode(*request.reference, text));
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

ModelScore ScoreOf(const Path& directory, const forward::Model& model, double nll) {
  return {.name = FolderName(directory),
          .format = model.checkpoint.format(),
          .group_size = model.checkpoint.group_size(),
          .nll = nll,
          .perplexity = std::exp(nll)};
}

/// Weights that are damaged show in the sums: not a number, or infinite.
Status CheckFinite(const Path& directory, double nll) {
  if (std::isfinite(nll)) {
    return OkStatus();
  }
  return DataLoss("model " + directory.string() +
                  " computes numbers that are not finite for this text; its weights are damaged or "
                  "overflow: fetch or make it again");
}

/// The figures that follow from the sums.
Status FillScores(const Request& request, std::span<const forward::Model* const> models,
                  const ScoreSums& sums, Report& report) {
  const auto count = static_cast<double>(sums.predictions);
  TYLLM_TRY(CheckFinite(request.model, sums.nll[0]));
  report.text.predictions = sums.predictions;
  report.model = ScoreOf(request.model, *models[0], sums.nll[0] / count);
  if (models.size() == 2) {
    TYLLM_TRY(CheckFinite(*request.reference, sums.nll[1]));
    report.reference = ScoreOf(*request.reference, *models[1], sums.nll[1] / count);
    report.perplexity_increase = std::exp(report.model.nll - report.reference->nll) - 1.0;
    report.kl_divergence = sums.divergence / count;
    report.top1_agreement = static_cast<double>(sums.agreements) / count;
  }
  return OkStatus();
}

Result<std::optional<StagedDirectory>> StageOutput(const Request& request, FileSystem& files) {
  if (!request.out) {
    return std::optional<StagedDirectory>();
  }
  TYLLM_ASSIGN(StagedDirectory staged, StagedDirectory::Create(files, *request.out));
  return std::optional<StagedDirectory>(std::move(staged));
}

Status WriteReport(const Report& report, FileSystem& files, StagedDirectory& staged) {
  TYLLM_TRY(WriteFileAtomically(files, staged.path() / kReportFile,
                                format::PrettyJson(format::ToJson(report))));
  return staged.Commit();
}

/// What is evaluated, opened and checked.
struct Subject {
  forward::Model model;
  std::optional<forward::Model> reference;
  Tokens tokens;
  TextScope scope;

  std::vector<const forward::Model*> Models() const {
    std::vector<const forward::Model*> models = {&model};
    if (reference) {
      models.push_back(&*reference);
    }
    return models;
  }
};

Result<Subject> OpenSubject(const Request& request, FileSystem& files) {
  TYLLM_ASSIGN(forward::Model model, forward::OpenModel(request.model));
  std::optional<forward::Model> reference;
  if (request.reference) {
    TYLLM_ASSIGN(reference, forward::OpenModel(*request.reference));
  }
  TYLLM_ASSIGN(const std::string text, files.Read(request.text));
  TYLLM_ASSIGN(Tokens tokens, Encode(request.model, text));
  TextScope scope{.name = request.text.filename().string(),
                  .sha256 = DigestOf(text).Hex(),
                  .tokens = static_cast<std::int64_t>(tokens.size()),
                  .window = request.options.window};
  auto windows = CountWindows(scope.tokens, request.options, model.shape());
  if (!windows.ok()) {
    return windows.status().Annotate(request.text.string());
  }
  scope.windows = *windows;
  if (reference) {
    TYLLM_ASSIGN(const std::int64_t ignored,
                 CountWindows(scope.tokens, request.options, reference->shape()));
    static_cast<void>(ignored);
    TYLLM_TRY(CheckReference(request, model, *reference, text, tokens));
  }
  return Subject{std::move(model), std::move(reference), std::move(tokens), std::move(scope)};
}

}  // namespace

namespace {

Result<Report> EvaluateOn(const Request& request, FileSystem& files, const Clock& clock,
                          domain::ProgressSink& progress) {
  const Clock::Steady start = clock.Now();
  TYLLM_ASSIGN(const auto backend, tensor::MakeBackend(request.device, request.threads));
  TYLLM_ASSIGN(const Subject subject, OpenSubject(request, files));
  TYLLM_ASSIGN(std::optional<StagedDirectory> staged, StageOutput(request, files));
  const std::vector<const forward::Model*> models = subject.Models();
  WindowProgress windows(progress, subject.scope.windows, BlocksOf(models));
  TYLLM_ASSIGN(const ScoreSums sums,
               ScoreWindows(models, *backend,
                            CutWindows(subject.tokens, subject.scope.window, subject.scope.windows),
                            [&](std::int64_t count) { windows.Add(count); }));
  Report report;
  report.text = subject.scope;
  report.device = backend->name();
  TYLLM_TRY(FillScores(request, models, sums, report));
  report.seconds = std::chrono::duration<double>(clock.Now() - start).count();
  if (report.seconds > 0.0) {
    report.tokens_per_second =
        static_cast<double>(report.text.windows * report.text.window) / report.seconds;
  }
  if (staged) {
    TYLLM_TRY(WriteReport(report, files, *staged));
  }
  return report;
}

}  // namespace

Result<Report> Evaluate(const Request& request, FileSystem& files, const Clock& clock,
                        domain::ProgressSink& progress) {
  return tensor::CatchDeviceErrors([&] { return EvaluateOn(request, files, clock, progress); });
}

}  // namespace tyllm::evaluate
