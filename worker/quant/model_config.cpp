// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/model_config.h"

namespace tyllm::quant {

namespace {

format::Json AwqConfig(std::int64_t group_size, const std::vector<std::string>& kept) {
  format::Json config = format::Json::object();
  config["quant_method"] = "awq";
  config["zero_point"] = true;
  config["group_size"] = group_size;
  config["bits"] = 4;
  config["version"] = "gemm";
  // A list that names some and not all would be worse than none: vLLM then infers nothing.
  config["modules_to_not_convert"] = kept.empty() ? format::Json() : format::Json(kept);
  return config;
}

}  // namespace

format::Json QuantizedModelConfig(const format::Json& source, model::CheckpointFormat format,
                                  std::int64_t group_size, const std::vector<std::string>& kept) {
  format::Json config = source;
  // transformers 5 writes "dtype", earlier versions "torch_dtype".
  const bool is_new_style = config.contains("dtype");
  if (is_new_style) {
    config["dtype"] = "float16";
  }
  if (!is_new_style || config.contains("torch_dtype")) {
    config["torch_dtype"] = "float16";
  }
  config.erase("quantization_config");
  if (format == model::CheckpointFormat::kAwqGemm) {
    config["quantization_config"] = AwqConfig(group_size, kept);
  }
  return config;
}

}  // namespace tyllm::quant
