// SPDX-License-Identifier: Apache-2.0
#include "worker/model/linear_formats.h"

#include <algorithm>
#include <utility>

namespace tyllm::model {

const LinearFormat& LinearFormatOf(CheckpointFormat format) {
  const auto found =
      std::find_if(kLinearFormats.begin(), kLinearFormats.end(),
                   [format](const LinearFormat* candidate) { return candidate->format == format; });
  TYLLM_CHECK(found != kLinearFormats.end());
  return **found;
}

std::vector<format::TensorSpec> TensorsToWrite(const LinearFormat& format,
                                               const std::string& module, const LinearSize& size) {
  std::vector<format::TensorSpec> tensors;
  for (PartSpec part : format.parts(size, LinearTraits{.group = size.group})) {
    if (part.required) {
      tensors.push_back(
          {module + std::string(part.key), part.dtypes.front(), std::move(part.shape)});
    }
  }
  return tensors;
}

const LinearFormat* FindQuantMethod(std::string_view method) {
  for (const LinearFormat* const format : kLinearFormats) {
    if (!format->quant_method.empty() && format->quant_method == method) {
      return format;
    }
  }
  return nullptr;
}

std::string QuantMethods() {
  std::string names;
  for (const LinearFormat* const format : kLinearFormats) {
    if (!format->quant_method.empty()) {
      names += (names.empty() ? "" : ", ") + std::string(format->quant_method);
    }
  }
  return names;
}

}  // namespace tyllm::model
