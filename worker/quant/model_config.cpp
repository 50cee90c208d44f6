// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/model_config.h"

#include "worker/model/linear_formats.h"

namespace tyllm::quant {

namespace {

/// transformers 5 writes "dtype", earlier versions "torch_dtype"; the parts of a model that sees
/// may each have their own.
void SayFloat16(format::Json& config, bool is_top) {
  const bool is_new_style = config.contains("dtype");
  if (is_new_style) {
    config["dtype"] = "float16";
  }
  if (config.contains("torch_dtype") || (is_top && !is_new_style)) {
    config["torch_dtype"] = "float16";
  }
}

}  // namespace

format::Json QuantizedModelConfig(const format::Json& source, model::CheckpointFormat format,
                                  std::int64_t group_size, const std::vector<std::string>& kept) {
  format::Json config = source;
  SayFloat16(config, true);
  for (const char* const part : {"text_config", "vision_config"}) {
    if (const auto found = config.find(part); found != config.end() && found->is_object()) {
      SayFloat16(*found, false);
    }
  }
  config.erase("quantization_config");
  if (const auto write = model::LinearFormatOf(format).config; write != nullptr) {
    config["quantization_config"] = write(group_size, {kept, config.contains("vision_config")});
  }
  return config;
}

}  // namespace tyllm::quant
