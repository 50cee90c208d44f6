// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "worker/jobs/lint.h"

// What vLLM reads of config.json.
namespace tyllm::jobs::vllm {

namespace {

using model::CheckpointFormat;

std::string Quoted(const format::Json& json) {
  return json.dump(-1, ' ', false, format::Json::error_handler_t::replace).substr(0, 80);
}

bool Has(const format::Json& config, const char* key) {
  return config.contains(key) && !config[key].is_null();
}

void CheckKey(const format::Json& config, const char* key, const char* old, LintFindings& out) {
  if (Has(config, key)) {
    return;
  }
  const std::string missing = std::string("quantization_config has no '") + key + "'";
  if (old != nullptr && Has(config, old)) {
    out.Warning(missing + " but '" + old +
                "', which the Marlin kernels do not look for: the slow kernel is used; rename it");
    return;
  }
  out.Error(missing + ", which vLLM asks for; add it");
}

std::string ElementType(const format::Json& config) {
  for (const char* const key : {"dtype", "torch_dtype"}) {
    if (const auto found = config.find(key); found != config.end() && found->is_string()) {
      return found->get<std::string>();
    }
  }
  return "";
}

/// Families of which vLLM loads only one style of names; it renames the others' modules.
struct NamesAsked {
  std::string_view family;
  const model::DecoderNames& names;
};

constexpr std::array<NamesAsked, 1> kNamesAsked = {{{"qwen3_vl", model::kVisualWithin}}};

}  // namespace

void CheckModuleNames(const LintSubject& subject, LintFindings& findings) {
  const model::ModelShape& shape = subject.checkpoint.shape();
  const std::string_view found = shape.names.layers;
  for (const NamesAsked& asked : kNamesAsked) {
    if (shape.family == asked.family && found != asked.names.layers) {
      findings.Error("the decoder is called " + std::string(found) + ", but vLLM loads a " +
                     shape.family + " by the names " + std::string(asked.names.layers) + " and " +
                     std::string(asked.names.visual) + " only; rename the tensors");
    }
  }
}

void CheckFormat(const LintSubject& subject, LintFindings& findings) {
  if (subject.checkpoint.format() == CheckpointFormat::kAmtc) {
    findings.Error(
        "the model has the vendor's AMTC layout, which vLLM does not load; run `tyllm convert "
        "--quant-type awq`");
  } else if (subject.IsQuantized() && subject.quantization == nullptr) {
    findings.Error(
        "config.json has no quantization_config, so vLLM looks for float weights; add it, or "
        "convert the model with `tyllm convert`");
  } else if (!subject.quantization_file.empty()) {
    findings.Warning("config.json has no quantization_config: vLLM reads " +
                     subject.quantization_file +
                     " only where `--quantization` is given and takes the weights for float ones "
                     "otherwise; copy it into config.json");
  }
}

void CheckKeys(const LintSubject& subject, LintFindings& findings) {
  if (!subject.IsAwq() || subject.quantization == nullptr) {
    return;
  }
  const format::Json& config = *subject.quantization;
  CheckKey(config, "quant_method", nullptr, findings);
  CheckKey(config, "bits", "w_bit", findings);
  CheckKey(config, "group_size", "q_group_size", findings);
  CheckKey(config, "zero_point", nullptr, findings);
  if (Has(config, "quant_method") && config["quant_method"] != "awq") {
    findings.Error("quant_method is " + Quoted(config["quant_method"]) +
                   ", expected \"awq\" in lower case");
  }
  if (Has(config, "version") && config["version"] != "gemm") {
    findings.Error("version is " + Quoted(config["version"]) + ", expected \"gemm\" in lower case");
  }
}

void CheckGroupSize(const LintSubject& subject, LintFindings& findings) {
  if (!subject.IsQuantized()) {
    return;
  }
  const std::int64_t group = subject.checkpoint.group_size();
  if (group == 32 || group == 64 || group == 128) {
    return;
  }
  const std::string found = "group size is " + std::to_string(group);
  if (group % 32 == 0) {
    findings.Warning(found +
                     ", expected 32, 64 or 128 for the Marlin kernels; the slow kernel is used");
  } else {
    findings.Error(found + ", which no kernel takes; quantize with 32, 64 or 128");
  }
}

void CheckElementType(const LintSubject& subject, LintFindings& findings) {
  const std::string type = ElementType(subject.checkpoint.config());
  if (type.empty()) {
    findings.Warning(
        "config.json names no dtype, so vLLM guesses it; add \"torch_dtype\": \"float16\"");
  } else if (subject.IsAwq() && type == "bfloat16") {
    findings.Warning(
        "dtype is bfloat16, which `--quantization awq` refuses (awq_marlin takes it); write "
        "float16");
  } else if (subject.IsAwq() && type != "float16") {
    findings.Error("dtype is " + type.substr(0, 40) + ", expected float16");
  }
}

void CheckHead(const LintSubject& subject, LintFindings& findings) {
  const std::string head(subject.checkpoint.shape().names.head);
  const bool says_so = subject.quantization != nullptr &&
                       subject.quantization->value("lm_head", format::Json()) == true;
  if (subject.checkpoint.IsQuantized(head) && !says_so && subject.IsAwq()) {
    findings.Error(head +
                   " is quantized, but quantization_config does not say \"lm_head\": true; add it");
  }
  if (!subject.checkpoint.IsQuantized(head) && says_so) {
    findings.Error("quantization_config says \"lm_head\": true, but " + head +
                   " is in floating point; remove the key");
  }
}

}  // namespace tyllm::jobs::vllm
