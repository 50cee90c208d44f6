// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "common/format/safetensors.h"

// Any bytes are either refused or give views that lie inside them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tyllm;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto header = format::ReadSafetensorsHeader(bytes);
  if (!header.ok()) {
    TYLLM_CHECK(!header.status().message().empty());
    return 0;
  }
  std::size_t covered = 0;
  for (const auto& [name, tensor] : header->tensors) {
    TYLLM_CHECK(tensor.bytes.empty() ||
                (tensor.bytes.data() >= bytes.data() &&
                 tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size()));
    covered += tensor.bytes.size();
    (void)format::ToFloats(name, tensor);
  }
  TYLLM_CHECK(covered <= size);
  return 0;
}
