// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "worker/artifact/params.h"

// Any bytes are either refused or give tensors that lie inside them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tyllm;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto params = artifact::ParseParams(bytes, "fuzz.params");
  if (!params.ok()) {
    TYLLM_CHECK(!params.status().message().empty());
    return 0;
  }
  std::size_t covered = 0;
  for (const auto& [name, param] : *params) {
    TYLLM_CHECK(param.offset <= size && param.bytes.size() <= size - param.offset);
    TYLLM_CHECK(param.bytes.empty() || param.bytes.data() == bytes.data() + param.offset);
    covered += param.bytes.size();
  }
  TYLLM_CHECK(covered <= size);
  return 0;
}
