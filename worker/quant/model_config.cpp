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

/// The element type that readers of a model are told, in the keys of `config` that tell it.
void SetType(format::Json& config) {
  for (const char* const key : {"dtype", "torch_dtype"}) {
    if (config.contains(key)) {
      config[key] = "float16";
    }
  }
}

/// The visual tower is never quantized. Readers compare names in two ways: as part of a module's
/// name, and as its beginning.
std::vector<std::string> WithVisualTower(const format::Json& source,
                                         std::vector<std::string> kept) {
  if (source.contains("vision_config")) {
    kept.insert(kept.begin(), {"visual", "model.visual"});
  }
  return kept;
}

}  // namespace

format::Json QuantizedModelConfig(const format::Json& source, model::CheckpointFormat format,
                                  std::int64_t group_size, const std::vector<std::string>& kept) {
  format::Json config = source;
  // transformers 5 writes "dtype", earlier versions "torch_dtype".
  if (!config.contains("dtype") && !config.contains("torch_dtype")) {
    config["torch_dtype"] = "float16";
  }
  SetType(config);
  if (config.contains("text_config") && config["text_config"].is_object()) {
    SetType(config["text_config"]);
  }
  config.erase("quantization_config");
  if (format == model::CheckpointFormat::kAwqGemm) {
    config["quantization_config"] = AwqConfig(group_size, WithVisualTower(source, kept));
  }
  return config;
}

}  // namespace tyllm::quant
