// SPDX-License-Identifier: Apache-2.0
#include "common/domain/output_names.h"

#include <algorithm>

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

/// The physical number of each of `dies` logical ones, one after the other.
std::string Physical(const std::vector<std::int64_t>& remap, std::int64_t dies) {
  std::string numbers;
  for (std::int64_t die = 0; die < dies; ++die) {
    numbers += std::to_string(remap.empty() ? die : remap[static_cast<std::size_t>(die)]);
  }
  return numbers;
}

std::string ArtifactSuffix(const CompileOptions& options, bool sees) {
  const std::string room = "_" + std::to_string(options.max_kv);
  if (!sees) {
    return std::to_string(options.seq_lens.empty() ? 1 : options.seq_lens.back()) + room;
  }
  const VisualOptions& visual = options.visual;
  return visual.image + room + "_" + std::to_string(options.dies) + "die_" +
         std::string(kModalityNames.Name(visual.modality)) + "_" +
         Physical(visual.vm_die_remap, options.dies) + Physical(options.lm_die_remap, options.dies);
}

}  // namespace

bool SeesImages(const format::Tree& artifact) {
  return std::ranges::any_of(artifact.entries, [](const format::TreeEntry& entry) {
    return entry.path.find("/visual/") != std::string::npos;
  });
}

std::string OutputFolderName(const JobSpec& spec, std::string_view output, bool sees) {
  const std::string name = spec.name.empty() ? "model" : spec.name;
  if (output == "model") {
    return name + std::string(Suffix(spec.kind == JobKind::kQuantize ? spec.quantize.format
                                                                     : spec.convert.quant_type));
  }
  if (output == "artifact") {
    return name + (spec.kind == JobKind::kPipeline ? "-AWQ" : "") + "-AOT_" +
           ArtifactSuffix(spec.compile, sees);
  }
  return std::string(output);
}

}  // namespace tyllm::domain
