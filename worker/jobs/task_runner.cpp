// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/task_runner.h"

#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "worker/compile/compile.h"
#include "worker/compile/vendor/compile_with_vendor.h"
#include "worker/compile/warnings.h"
#include "worker/evaluate/evaluate.h"
#include "worker/evaluate/judge.h"
#include "worker/evaluate/report_text.h"
#include "worker/quant/convert.h"
#include "worker/quant/quantize.h"

namespace tyllm::jobs {

namespace {

namespace fs = std::filesystem;

/// What every runner gets.
struct Work {
  const domain::TaskOrder& order;
  const BuiltInTexts& texts;
  FileSystem& files;
  const Clock& clock;
  domain::ProgressSink& progress;
  const compile::VendorSettings& vendor;
};

std::optional<Path> Input(const domain::TaskOrder& order, const std::string& name) {
  const auto it = order.inputs.find(name);
  return it == order.inputs.end() ? std::nullopt : std::optional<Path>(it->second);
}

Result<Path> Need(const domain::TaskOrder& order, const std::string& name) {
  if (auto path = Input(order, name)) {
    return *std::move(path);
  }
  return InvalidArgument("the order for " + std::string(domain::kTaskKindNames.Name(order.kind)) +
                         " has no input '" + name + "'; add it");
}

/// A text input is a folder with one file, as uploads are; `built_in` where the order names none.
Result<Path> Text(const domain::TaskOrder& order, const std::string& name, const Path& built_in) {
  const auto input = Input(order, name);
  if (!input) {
    return built_in;
  }
  std::vector<Path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(*input, error)) {
    found.push_back(entry.path());
  }
  if (error || found.size() != 1 || !fs::is_regular_file(found.front(), error)) {
    return InvalidArgument("input '" + name + "' has " + std::to_string(found.size()) +
                           " entries, expected exactly one text file; upload a file");
  }
  return found.front();
}

/// An uploaded file is a folder with one entry: the file itself is meant, whose name says its kind.
Path FileOrFolder(const Path& input) {
  std::error_code error;
  fs::directory_iterator entries(input, error);
  if (error || entries == fs::directory_iterator()) {
    return input;
  }
  const Path first = entries->path();
  entries.increment(error);
  return !error && entries == fs::directory_iterator() ? first : input;
}

Path CalibrationText(const Work& work) {
  const auto input = Input(work.order, "calibration");
  return input ? FileOrFolder(*input) : work.texts.calibration;
}

/// What the prompts are about: images, then videos, each kind in the order of its numbers.
std::vector<vision::Medium> Media(const domain::TaskOrder& order) {
  std::vector<vision::Medium> media;
  for (std::size_t i = 0; i < domain::kMostMedia; ++i) {
    if (const auto image = Input(order, "images" + std::to_string(i))) {
      media.push_back({FileOrFolder(*image), false, std::nullopt});
    }
  }
  for (std::size_t i = 0; i < domain::kMostMedia; ++i) {
    if (const auto video = Input(order, "videos" + std::to_string(i))) {
      media.push_back({FileOrFolder(*video), true, order.evaluate.video_fps});
    }
  }
  return media;
}

Result<TaskReport> RunQuantize(const Work& work) {
  quant::QuantizeRequest request;
  TYLLM_ASSIGN(request.model, Need(work.order, "model"));
  request.calibration_text = CalibrationText(work);
  request.out = work.order.output;
  request.options = work.order.quantize;
  request.device = work.order.device;
  TYLLM_ASSIGN(const quant::QuantizationReport report,
               quant::Quantize(request, work.progress, {work.files, work.clock}));
  return TaskReport{.text = ReportText(report),
                    .violations = {},
                    .gpu_memory_bytes = report.run.peak_device_bytes};
}

Result<TaskReport> RunConvert(const Work& work) {
  quant::ConvertRequest request;
  TYLLM_ASSIGN(request.source, Need(work.order, "model"));
  request.destination = work.order.output;
  request.options = work.order.convert;
  TYLLM_ASSIGN(const quant::ConvertReport report,
               quant::Convert(request, work.progress, work.files));
  return TaskReport{.text = ReportText(report), .violations = {}};
}

Result<TaskReport> RunEvaluate(const Work& work) {
  evaluate::Request request;
  TYLLM_ASSIGN(request.model, Need(work.order, "model"));
  TYLLM_ASSIGN(request.text, Text(work.order, "text", work.texts.evaluation));
  request.reference = Input(work.order, "reference");
  request.questions = Input(work.order, "questions");
  request.visual_questions = Input(work.order, "visual_questions");
  request.media = Media(work.order);
  request.options = work.order.evaluate;
  request.device = work.order.device;
  request.out = work.order.output;
  TYLLM_ASSIGN(const evaluate::Report report,
               evaluate::Evaluate(request, work.files, work.clock, work.progress));
  return TaskReport{.text = evaluate::ReportText(report),
                    .violations = evaluate::Violations(report)};
}

Result<compile::CompileRequest> CompileRequestOf(const Work& work) {
  compile::CompileRequest request;
  TYLLM_ASSIGN(request.model, Need(work.order, "model"));
  request.options = work.order.compile;
  request.source_tokenizer = Input(work.order, "tokenizer").value_or(Path());
  request.allow_missing_tokenizer = request.options.no_tokenizer;
  request.cache = work.order.cache;
  request.compiler_id = work.order.compiler;
  request.started = [](const compile::Preparation& preparation) {
    for (const std::string& warning : compile::Warnings(preparation)) {
      std::cout << "warning: " << warning << std::endl;
    }
  };
  return request;
}

Result<TaskReport> RunCompileDie(const Work& work) {
  TYLLM_ASSIGN(const compile::CompileRequest request, CompileRequestOf(work));
  TYLLM_ASSIGN(const compile::BuildCounts counts,
               compile::CompileDies(work.files, request, {work.order.die}, work.order.output,
                                    work.progress));
  return TaskReport{
      .text = "die " + std::to_string(work.order.die) + ": " + std::to_string(counts.programs) +
              " programs, " + std::to_string(counts.programs_kept) +
              " of them finished by an earlier run, " +
              (counts.interpreted ? std::string("the others to be interpreted\n")
                                  : std::to_string(counts.built()) + " compiled, " +
                                        std::to_string(counts.cached) + " from the cache\n"),
      .violations = {}};
}

/// All dies at once, by the vendor's toolchain.
Result<TaskReport> RunVendor(const Work& work, const compile::CompileRequest& request) {
  const auto print = [](std::string_view line) { std::cout << line << std::endl; };
  TYLLM_ASSIGN(const compile::CompileSummary summary,
               compile::CompileWithVendor(work.files, request, work.vendor, work.order.output,
                                          print, work.progress));
  return TaskReport{
      .text = std::to_string(summary.bytes) +
              " bytes, made by the vendor's toolchain; the die simulator cannot run them\n",
      .violations = {}};
}

Result<TaskReport> RunAssemble(const Work& work) {
  TYLLM_ASSIGN(const compile::CompileRequest request, CompileRequestOf(work));
  if (request.options.target != domain::CompileTarget::kSim) {
    return RunVendor(work, request);
  }
  std::vector<Path> parts;
  for (std::int64_t die = 0; die < work.order.compile.dies; ++die) {
    TYLLM_ASSIGN(parts.emplace_back(), Need(work.order, "die" + std::to_string(die)));
  }
  TYLLM_ASSIGN(const compile::CompileSummary summary,
               compile::Assemble(work.files, request, parts, work.order.output, work.progress));
  std::string text = std::to_string(summary.bytes) + " bytes";
  if (summary.verified) {
    const bool ran =
        summary.verified->engine == simulator::kEngineNames.Name(simulator::Engine::kCompiled);
    text += std::string(ran ? ", run on the die simulator"
                            : ", interpreted in float32 (the programs were not run)") +
            ": largest difference of a logit " + std::to_string(summary.verified->max_difference);
  }
  return TaskReport{.text = text + "\n", .violations = {}};
}

}  // namespace

Result<TaskReport> RunTask(const domain::TaskOrder& order, const BuiltInTexts& texts,
                           FileSystem& files, const Clock& clock, domain::ProgressSink& progress,
                           const compile::VendorSettings& vendor) {
  const Work work{order, texts, files, clock, progress, vendor};
  switch (order.kind) {
    case domain::TaskKind::kQuantize:
      return RunQuantize(work);
    case domain::TaskKind::kConvert:
      return RunConvert(work);
    case domain::TaskKind::kEvaluate:
      return RunEvaluate(work);
    case domain::TaskKind::kCompileDie:
      return RunCompileDie(work);
    case domain::TaskKind::kAssemble:
      return RunAssemble(work);
  }
  return Internal("a task kind without a runner");
}

}  // namespace tyllm::jobs
