// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/request_checks.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>

#include "common/base/thread_count.h"
#include "worker/artifact/layout.h"
#include "worker/compile/golden.h"
#include "worker/compile/own_names.h"
#include "worker/compile/system_compiler.h"
#include "worker/compile/tokenizer_files.h"
#include "worker/compile/visual/golden_picture.h"
#include "worker/die/linear8.h"
#include "worker/model/passenger_files.h"
#include "worker/model/vision_shape.h"

namespace tyllm::compile {
namespace {

using domain::CompileFaults;
using domain::CompileOptions;
using domain::CompileTarget;

Status HasTokenizer(const CompileRequest& request) {
  const Path path = (request.source_tokenizer.empty() ? request.model : request.source_tokenizer) /
                    artifact::kTokenizerFile;
  std::error_code error;
  if (request.allow_missing_tokenizer || std::filesystem::is_regular_file(path, error)) {
    return OkStatus();
  }
  return NotFound(path.string() +
                  " is missing and belongs into the output; copy it from the original model");
}

/// That what goes into the output can be read and is of this model, and what the goldens are made
/// with, too.
Status CheckTokenizer(const CompileRequest& request, std::int64_t vocabulary) {
  TYLLM_TRY(HasTokenizer(request));
  for (const Path& folder : {request.model, request.source_tokenizer}) {
    if (folder.empty()) {
      continue;
    }
    TYLLM_ASSIGN(const std::optional<model::Tokenizer> tokenizer, LoadTokenizer(folder));
    if (tokenizer) {
      TYLLM_TRY(EncodeFor(*tokenizer, kGoldenText, vocabulary, folder).status());
      TYLLM_TRY(EncodeFor(*tokenizer, kGoldenQuestion, vocabulary, folder).status());
    }
  }
  return OkStatus();
}

/// A cache of more tokens than the model can have would be filled with nonsense.
Status CheckPositions(const CompileOptions& options, const model::ModelShape& shape) {
  if (options.max_kv <= shape.max_positions) {
    return OkStatus();
  }
  return InvalidArgument("--max-kv is " + std::to_string(options.max_kv) + ", but the model has " +
                         std::to_string(shape.max_positions) +
                         " positions (max_position_embeddings or sliding_window of config.json); "
                         "expected at most that");
}

/// The kernels take groups of 32 columns and more.
Status CheckHead(const CompileOptions& options, const model::ModelShape& shape) {
  if (options.head != domain::HeadNumbers::kInt8 || die::Linear8Group(shape.width) > 0) {
    return OkStatus();
  }
  return InvalidArgument("--head int8 needs a width that is a multiple of 32, found " +
                         std::to_string(shape.width));
}

/// Only quantized weights are multiplied with activations of either kind.
Status CheckActivations(const CompileRequest& request, const plan::WeightFormats& formats) {
  if (request.options.activations != domain::ActivationNumbers::kInt8 || formats.group > 0) {
    return OkStatus();
  }
  return InvalidArgument("--activations int8 is for quantized layers, and " +
                         request.model.string() +
                         " has none: leave it out, or quantize the model first");
}

/// Options of models that see, with one that does not.
void RefuseVisualOptions(const CompileRequest& request, Problems& problems) {
  const domain::VisualOptions& given = request.options.visual;
  const domain::VisualOptions initial;
  const std::pair<bool, const char*> options[] = {
      {given.image != initial.image, "--image"},
      {given.modality != initial.modality, "--modality"},
      {given.frames != initial.frames, "--frames"},
      {given.vm_die_remap != initial.vm_die_remap, "--vm-die-remap"}};
  for (const auto& [is_given, name] : options) {
    if (is_given && request.options.target == CompileTarget::kSim) {
      problems.Add(InvalidArgument(
          std::string(name) + " is for models that see; " + request.model.string() +
          " is a model of text (its config.json has no vision_config): leave it out"));
    }
  }
}

/// Only what the vendor's toolchain is not told of is refused: the request has more of it than its
/// options.
void CheckTarget(const CompileRequest& request, bool sees, Problems& problems) {
  if (request.options.target == CompileTarget::kSim) {
    return;
  }
  if (!request.compiler.empty()) {
    problems.Add(InvalidArgument("--compiler is " + request.compiler +
                                 ", expected none with --target tytvm: the vendor's toolchain "
                                 "brings its own; leave it out"));
  }
  if (sees && !request.options.visual.text_only) {
    problems.Add(InvalidArgument(
        request.model.string() +
        " is a model that sees, and the vendor's toolchain is driven for the language model alone; "
        "add --text-only, or compile with --target sim"));
  }
}

/// The tower cut over the dies; nothing where something is wrong.
std::optional<TowerPlan> TowerOf(const CompileRequest& request, const forward::Model& model,
                                 const CompileFaults& faults, Problems& problems) {
  const CompileOptions& options = request.options;
  if (request.compiler == kNoCompiler) {
    problems.Add(InvalidArgument(
        "a visual tower is not run without a compiler; leave out --compiler none, or compile the "
        "language model alone with --text-only"));
  }
  domain::VisualOptions visual = options.visual;
  const bool has_size =
      faults.image.ok() && (faults.frames.ok() || visual.modality == domain::Modality::kImage);
  if (!has_size) {
    visual = {};  // of some size: whether the dies can share the tower is seen all the same
  } else if (!faults.frames.ok()) {
    visual.frames = domain::VisualOptions().frames;
  }
  if (!faults.vm_die_remap.ok()) {
    visual.vm_die_remap.clear();
  }
  const std::int64_t dies = faults.dies.ok() ? options.dies : 1;
  Result<TowerPlan> tower = PlanTower(model, visual, dies);
  problems.Add(tower.status());
  if (!tower.ok()) {
    const Status cut = CheckTowerDies(model, dies);
    if (cut.message() != tower.status().message()) {
      problems.Add(cut);
    }
    return std::nullopt;
  }
  if (has_size && faults.max_kv.ok() && tower->config.tokens + kQuestionTokens > options.max_kv) {
    problems.Add(InvalidArgument("an image becomes " + std::to_string(tower->config.tokens) +
                                 " tokens, and --max-kv is " + std::to_string(options.max_kv) +
                                 "; expected " + std::to_string(kQuestionTokens) +
                                 " more than the image has"));
  }
  return *std::move(tower);
}

}  // namespace

CompileFaults CheckOptions(const CompileRequest& request, Problems& problems) {
  CompileFaults faults = domain::FaultsOf(request.options);
  for (const Status* const status :
       {&faults.dies, &faults.max_kv, &faults.seq_lens, &faults.lm_die_remap, &faults.split}) {
    problems.Add(*status);
  }
  problems.Add(faults.of_target);
  problems.Add(CheckThreadCount("jobs", request.jobs));
  return faults;
}

void CheckWithoutModel(const CompileFaults& faults, Problems& problems) {
  for (const Status* const status : {&faults.image, &faults.frames, &faults.vm_die_remap}) {
    problems.Add(*status);
  }
}

plan::Split SplitOf(const CompileOptions& options, const CompileFaults& faults) {
  if (!faults.dies.ok()) {
    return {};
  }
  return faults.split.ok() ? plan::Split{options.dies, options.attention_dies, options.reduce_group}
                           : plan::Split{options.dies};
}

std::optional<TowerPlan> CheckAgainstModel(const CompileRequest& request,
                                           const forward::Model& model,
                                           const plan::WeightFormats& formats,
                                           const CompileFaults& faults, Problems& problems) {
  const CompileOptions& options = request.options;
  problems.Add(CheckPassengers(model.checkpoint.PassengerFiles(), request.model));
  problems.Add(model::CheckLinks(request.model));
  problems.Add(CheckTokenizer(request, model.shape().vocabulary));
  if (options.max_kv > 0) {  // even one that is too much for any model
    problems.Add(CheckPositions(options, model.shape()));
  }
  problems.Add(CheckHead(options, model.shape()));
  problems.Add(CheckActivations(request, formats));
  const bool sees = model::HasVision(model.checkpoint.config());
  CheckTarget(request, sees, problems);
  if (!sees) {
    RefuseVisualOptions(request, problems);
    return std::nullopt;
  }
  CheckWithoutModel(faults, problems);
  if (options.visual.text_only || model.shape().names.visual.empty() ||
      options.target != CompileTarget::kSim) {
    return std::nullopt;
  }
  return TowerOf(request, model, faults, problems);
}

}  // namespace tyllm::compile
