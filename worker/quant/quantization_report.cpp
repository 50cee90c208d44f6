// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantization_report.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <iterator>
#include <span>

namespace tyllm::quant {

namespace {

[[gnu::format(printf, 1, 2)]] std::string Line(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  return std::string(text) + "\n";
}

double Megabytes(std::int64_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}

std::string Text(std::string_view text) {
  return std::string(text);
}

std::string ScaleText(const LinearReport& linear) {
  const std::string name = Text(kScaleFormulaNames.Name(linear.scale_formula));
  if (linear.scale_formula == ScaleFormula::kIdentity) {
    return name;
  }
  char ratio[32];
  std::snprintf(ratio, sizeof(ratio), " %.2f", linear.scale_ratio);
  return name + ratio;
}

const LinearReport* Worst(const QuantizationReport& report) {
  const auto worst = std::ranges::max_element(report.linears, {}, &LinearReport::error);
  return worst == report.linears.end() ? nullptr : &*worst;
}

std::string ErrorLines(const QuantizationReport& report) {
  if (report.options.method == domain::QuantizeMethod::kRtn) {
    return Line("error      %.4f of the weights, mean of all linears", report.mean_error);
  }
  std::string text = Line("error      %.4f of the outputs, mean of all linears; to nearest: %.4f",
                          report.mean_error, report.mean_rtn_error);
  if (const LinearReport* worst = Worst(report)) {
    text += Line("worst      %.4f %s (%s); to nearest: %.4f", worst->error, worst->name.c_str(),
                 ScaleText(*worst).c_str(), worst->rtn_error);
  }
  return text;
}

void NamePoorLinears(QuantizationReport& report) {
  constexpr double kFarFromMedian = 3.0;
  std::vector<double> errors;
  for (const LinearReport& linear : report.linears) {
    if (linear.quantized) {
      errors.push_back(linear.error);
    }
  }
  report.poor.clear();
  if (errors.empty()) {
    return;
  }
  const auto middle = errors.begin() + std::ssize(errors) / 2;
  std::ranges::nth_element(errors, middle);
  const bool reads_text = report.options.method != domain::QuantizeMethod::kRtn;
  for (const LinearReport& linear : report.linears) {
    const bool gains_nothing =
        reads_text && linear.error > 0.0 && !(linear.error < linear.rtn_error);
    if (linear.quantized && (linear.error > kFarFromMedian * *middle || gains_nothing)) {
      report.poor.push_back(linear.name);
    }
  }
}

std::string WorstGroupText(const LinearReport& linear) {
  if (linear.worst_groups.empty()) {
    return "";
  }
  char text[80];
  std::snprintf(text, sizeof(text), ", %.0f %% of it in input group %lld",
                100.0 * linear.worst_groups.front().share,
                static_cast<long long>(linear.worst_groups.front().group));
  return text;
}

std::string PoorLines(const QuantizationReport& report) {
  constexpr std::size_t kShown = 8;
  std::string text;
  for (const std::string& name :
       std::span(report.poor).first(std::min(kShown, report.poor.size()))) {
    const auto linear = std::ranges::find(report.linears, name, &LinearReport::name);
    text += Line("poor       %.4f %s; to nearest: %.4f%s", linear->error, name.c_str(),
                 linear->rtn_error, WorstGroupText(*linear).c_str());
  }
  if (report.poor.size() > kShown) {
    text += Line("poor       and %zu more (the report names them)", report.poor.size() - kShown);
  }
  if (!report.poor.empty()) {
    text += "           --keep-float keeps such layers in 16 bits\n";
  }
  return text;
}

std::string ImagesLine(const CalibrationReport& calibration, double weight) {
  const double of_tokens =
      static_cast<double>(calibration.image_tokens) / static_cast<double>(calibration.tokens);
  return Line(
      "images     %s: %lld samples with %lld images; %lld of %lld tokens are of images (%.0f %%), "
      "weight %g: %.0f %% of the activations",
      calibration.text.c_str(), static_cast<long long>(calibration.samples),
      static_cast<long long>(calibration.images), static_cast<long long>(calibration.image_tokens),
      static_cast<long long>(calibration.tokens), 100 * of_tokens, weight,
      100 * calibration.image_share);
}

std::string CoverageLine(const CalibrationReport& calibration) {
  return Line(
      "text       %s: %lld tokens of %lld of its %lld documents, %lld different ids of %lld",
      calibration.text.c_str(), static_cast<long long>(calibration.tokens),
      static_cast<long long>(calibration.documents),
      static_cast<long long>(calibration.documents_found),
      static_cast<long long>(calibration.distinct_tokens),
      static_cast<long long>(calibration.known_tokens));
}

}  // namespace

void Summarize(QuantizationReport& report) {
  std::int64_t count = 0;
  double image_share = 0.0;
  report.mean_error = 0.0;
  report.mean_rtn_error = 0.0;
  for (const LinearReport& linear : report.linears) {
    if (linear.quantized) {
      report.mean_error += linear.error;
      report.mean_rtn_error += linear.rtn_error;
      image_share += linear.image_share;
      ++count;
    }
  }
  if (count > 0) {
    report.mean_error /= static_cast<double>(count);
    report.mean_rtn_error /= static_cast<double>(count);
    if (report.calibration) {
      report.calibration->image_share = image_share / static_cast<double>(count);
    }
  }
  NamePoorLinears(report);
}

format::Json ReportWithRun(const QuantizationReport& report) {
  format::Json json = format::ToJson(report);
  json["run"] = format::ToJson(report.run);
  return json;
}

std::string ReportText(const QuantizationReport& report) {
  const auto quantized = std::ranges::count(report.linears, true, &LinearReport::quantized);
  std::string text =
      Line("quantized  %lld of %zu linear layers of %s (%s, group %lld, %s)",
           static_cast<long long>(quantized), report.linears.size(), report.architecture.c_str(),
           Text(domain::kQuantizeMethodNames.Name(report.options.method)).c_str(),
           static_cast<long long>(report.options.group_size),
           Text(domain::kQuantizedFormatNames.Name(report.options.format)).c_str());
  text += ErrorLines(report) + PoorLines(report);
  if (report.calibration) {
    text += report.calibration->images > 0
                ? ImagesLine(*report.calibration, report.options.calibration.image_weight)
                : CoverageLine(*report.calibration);
  }
  text += Line("size       %.1f MB, was %.1f MB", Megabytes(report.output_bytes),
               Megabytes(report.source_bytes));
  if (report.kept_float_bytes > 0) {
    text +=
        Line("kept       --keep-float made it %.1f MB larger", Megabytes(report.kept_float_bytes));
  }
  text += Line("seconds    %.1f: calibrate %.1f, quantize %.1f, write %.1f, verify %.1f",
               report.run.seconds.total, report.run.seconds.calibrate, report.run.seconds.quantize,
               report.run.seconds.write, report.run.seconds.verify);
  text += Line("memory     %.0f MB at most; told before: %.0f MB",
               Megabytes(report.run.peak_memory_bytes), Megabytes(report.run.memory_needed_bytes));
  if (report.run.peak_device_bytes > 0) {
    text += Line("           %.0f MB of %s at most", Megabytes(report.run.peak_device_bytes),
                 report.device.c_str());
  }
  if (report.run.layers_resumed > 0) {
    text += Line("resumed    %lld layers were finished by an earlier run",
                 static_cast<long long>(report.run.layers_resumed));
  }
  for (const std::string& warning : report.warnings) {
    text += "warning    " + warning + "\n";
  }
  return text;
}

}  // namespace tyllm::quant
