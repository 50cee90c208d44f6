// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/model/weight_files.h"

// Any model.safetensors.index.json is either refused or names files of its own folder only.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tyllm;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto map = model::ParseWeightMap(text, "index");
  if (!map.ok()) {
    TYLLM_CHECK(!map.status().message().empty());
    return 0;
  }
  const Path folder = "/model";
  for (const auto& [tensor, file] : *map) {
    TYLLM_CHECK((folder / file).lexically_normal().parent_path() == folder);
  }
  return 0;
}
