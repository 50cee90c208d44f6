// SPDX-License-Identifier: Apache-2.0
#include "tests/worker/forward/golden.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "common/format/float16.h"
#include "tests/support/paths.h"

namespace tyllm::forward::testing {

Golden Golden::Open(const std::string& name) {
  const Path directory = Path(tyllm::testing::kTestData) / "goldens" / name;
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

format::Json InOtherForm(format::Json config) {
  format::Json& text = config.contains("text_config") ? config["text_config"] : config;
  const bool is_new = text.contains("rope_parameters");
  const char* const from = is_new ? "rope_parameters" : "rope_scaling";
  const char* const to = is_new ? "rope_scaling" : "rope_parameters";
  format::Json rope = text.value(from, format::Json());
  rope = rope.is_null() ? format::Json::object() : rope;
  (is_new ? text : rope)["rope_theta"] = (is_new ? rope : text)["rope_theta"];
  (is_new ? rope : text).erase("rope_theta");
  text.erase(from);
  text[to] = rope;
  const char* const type = config.contains("dtype") ? "dtype" : "torch_dtype";
  config[is_new ? "torch_dtype" : "dtype"] = config[type];
  config.erase(type);
  return config;
}

std::vector<float> RoundedFrequencies(const Golden& golden) {
  std::vector<float> frequencies = model::RopeFrequencies(golden.model.shape());
  const std::string norm = std::string(golden.model.shape().names.final_norm) + ".weight";
  const bool bfloat16 = golden.model.checkpoint.Find(norm)->dtype == format::DType::kBF16;
  for (float& f : frequencies) {
    f = bfloat16 ? format::BFloat16ToFloat(format::FloatToBFloat16(f))
                 : format::HalfToFloat(format::FloatToHalf(f));
  }
  return frequencies;
}

float MaxDifference(const float* actual, const std::vector<float>& expected) {
  float largest = 0.0F;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(actual[i] - expected[i]));
  }
  return largest;
}

}  // namespace tyllm::forward::testing
