// SPDX-License-Identifier: Apache-2.0
#include "common/domain/output_names.h"

namespace tyllm::domain {

std::string OutputFolderName(const JobSpec& spec, std::string_view output) {
  const std::string name = spec.name.empty() ? "model" : spec.name;
  if (output == "model") {
    const bool amtc =
        spec.kind == JobKind::kQuantize && spec.quantize.format == QuantizedFormat::kAmtc;
    return name + (amtc ? "-AMTC-AWQ" : "-AWQ");
  }
  if (output == "artifact") {
    const std::int64_t prefill = spec.compile.seq_lens.empty() ? 1 : spec.compile.seq_lens.back();
    return name + (spec.kind == JobKind::kPipeline ? "-AWQ" : "") + "-AOT_" +
           std::to_string(prefill) + "_" + std::to_string(spec.compile.max_kv);
  }
  return std::string(output);
}

}  // namespace tyllm::domain
