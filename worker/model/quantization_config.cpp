// SPDX-License-Identifier: Apache-2.0
#include "worker/model/quantization_config.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <utility>

namespace tyllm::model {

namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

Result<QuantizationConfig> Read(const format::Json& json, std::string what) {
  if (!json.is_object()) {
    return format::WrongKind(what, json, "an object");
  }
  QuantizationConfig config{"", std::move(what), json};
  if (const auto method = json.find("quant_method"); method != json.end()) {
    if (!method->is_string()) {
      return format::WrongKind(config.what + ".quant_method", *method, "text");
    }
    config.method = Lower(method->get<std::string>());
  }
  return config;
}

/// A file of its own, and the method that is meant where it names none.
struct OwnFile {
  std::string_view name;
  std::string_view method;
};

constexpr std::array kOwnFiles = {OwnFile{"quant_config.json", "awq"},
                                  OwnFile{"quantize_config.json", "gptq"}};

}  // namespace

bool SameWord(std::string_view a, std::string_view b) {
  return Lower(std::string(a)) == Lower(std::string(b));
}

Status CheckFourBits(std::optional<std::int64_t> bits, std::string_view what) {
  if (bits.value_or(4) == 4) {
    return OkStatus();
  }
  return Unimplemented(std::string(what) + ".bits is " + std::to_string(*bits) +
                       ", supported is only 4");
}

Result<std::int64_t> CheckedGroup(std::optional<std::int64_t> group, std::string_view what) {
  if (!group) {
    return 0;
  }
  if (*group < 1) {
    return Unimplemented(std::string(what) + ".group_size is " + std::to_string(*group) +
                         ", supported are 1 and more: groups of inputs with a scale of their own");
  }
  return *group;
}

bool IsQuantizationFile(const Path& file) {
  return std::any_of(kOwnFiles.begin(), kOwnFiles.end(),
                     [&](const OwnFile& own) { return file == own.name; });
}

Result<std::optional<QuantizationConfig>> ReadQuantizationConfig(const format::Json& config,
                                                                 std::string_view file) {
  const auto it = config.find("quantization_config");
  if (it == config.end() || it->is_null()) {
    return std::optional<QuantizationConfig>();
  }
  TYLLM_ASSIGN(QuantizationConfig read, Read(*it, std::string(file) + ".quantization_config"));
  return std::optional(std::move(read));
}

Result<std::optional<QuantizationConfig>> FindQuantizationConfig(const format::Json& config,
                                                                 const Path& directory) {
  TYLLM_ASSIGN(auto found, ReadQuantizationConfig(config, (directory / "config.json").string()));
  for (const OwnFile& file : kOwnFiles) {
    const Path path = directory / file.name;
    std::error_code ignored;
    if (found || !std::filesystem::is_regular_file(path, ignored)) {
      continue;
    }
    TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(path));
    TYLLM_ASSIGN(QuantizationConfig read, Read(json, path.string()));
    if (read.method.empty()) {
      read.method = file.method;
    }
    read.file = file.name;
    found = std::move(read);
  }
  return found;
}

}  // namespace tyllm::model
