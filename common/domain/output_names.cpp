// SPDX-License-Identifier: Apache-2.0
#include "common/domain/output_names.h"

namespace tyllm::domain {

namespace {

/// As the vendor's guide and the hub's users call such models.
std::string_view Suffix(QuantizedFormat format) {
  switch (format) {
    case QuantizedFormat::kAmtc:
      return "-AMTC-AWQ";
    case QuantizedFormat::kAwq:
      return "-AWQ";
    case QuantizedFormat::kCompressedTensors:
      return "-W4A16";
  }
  return "";
}

}  // namespace

std::string OutputFolderName(const JobSpec& spec, std::string_view output) {
  const std::string name = spec.name.empty() ? "model" : spec.name;
  if (output == "model") {
    return name + std::string(Suffix(spec.kind == JobKind::kQuantize ? spec.quantize.format
                                                                     : spec.convert.quant_type));
  }
  if (output == "artifact") {
    const std::int64_t prefill = spec.compile.seq_lens.empty() ? 1 : spec.compile.seq_lens.back();
    return name + (spec.kind == JobKind::kPipeline ? "-AWQ" : "") + "-AOT_" +
           std::to_string(prefill) + "_" + std::to_string(spec.compile.max_kv);
  }
  return std::string(output);
}

}  // namespace tyllm::domain
