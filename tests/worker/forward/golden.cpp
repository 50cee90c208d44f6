// SPDX-License-Identifier: Apache-2.0
#include "tests/worker/forward/golden.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace tyllm::forward::testing {

Golden Golden::Open(const std::string& name) {
  const Path directory = Path(TYLLM_TEST_DATA) / "goldens" / name;
  auto model = OpenModel(directory);
  TYLLM_CHECK(model.ok());
  auto file = format::SafetensorsFile::Open(directory / "golden.safetensors");
  TYLLM_CHECK(file.ok());
  return {directory, *std::move(model), *std::move(file)};
}

std::vector<float> Golden::Floats(const std::string& tensor) const {
  return *format::ToFloats(tensor, file.tensors().at(tensor));
}

std::vector<std::int32_t> Golden::Ids(const std::string& tensor) const {
  const format::TensorView& view = file.tensors().at(tensor);
  TYLLM_CHECK(view.dtype == format::DType::kI32);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(view.elements()));
  std::memcpy(ids.data(), view.bytes.data(), view.bytes.size());
  return ids;
}

float MaxDifference(const float* actual, const std::vector<float>& expected) {
  float largest = 0.0F;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(actual[i] - expected[i]));
  }
  return largest;
}

}  // namespace tyllm::forward::testing
