// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantization_report.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

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

}  // namespace

void Summarize(QuantizationReport& report) {
  std::int64_t count = 0;
  report.mean_error = 0.0;
  report.mean_rtn_error = 0.0;
  for (const LinearReport& linear : report.linears) {
    if (linear.quantized) {
      report.mean_error += linear.error;
      report.mean_rtn_error += linear.rtn_error;
      ++count;
    }
  }
  if (count > 0) {
    report.mean_error /= static_cast<double>(count);
    report.mean_rtn_error /= static_cast<double>(count);
  }
}

std::string ReportText(const QuantizationReport& report) {
  const auto quantized = std::ranges::count(report.linears, true, &LinearReport::quantized);
  std::string text =
      Line("quantized  %lld of %zu linear layers of %s (%s, group %lld, %s)",
           static_cast<long long>(quantized), report.linears.size(), report.architecture.c_str(),
           Text(domain::kQuantizeMethodNames.Name(report.options.method)).c_str(),
           static_cast<long long>(report.options.group_size),
           Text(domain::kQuantizedFormatNames.Name(report.options.format)).c_str());
  text += ErrorLines(report);
  text += Line("size       %.1f MB, was %.1f MB", Megabytes(report.output_bytes),
               Megabytes(report.source_bytes));
  text += Line("seconds    %.1f: calibrate %.1f, quantize %.1f, write %.1f, verify %.1f",
               report.seconds.total, report.seconds.calibrate, report.seconds.quantize,
               report.seconds.write, report.seconds.verify);
  text += Line("memory     %.0f MB at most", Megabytes(report.peak_memory_bytes));
  if (report.peak_device_bytes > 0) {
    text += Line("           %.0f MB of %s at most", Megabytes(report.peak_device_bytes),
                 report.device.c_str());
  }
  for (const std::string& warning : report.warnings) {
    text += "warning    " + warning + "\n";
  }
  return text;
}

}  // namespace tyllm::quant
