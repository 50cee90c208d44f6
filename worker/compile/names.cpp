// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/names.h"

#include <cctype>

namespace tyllm::compile {
namespace {

std::string CamelCase(std::string_view name) {
  std::string out;
  bool upper = true;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) == 0) {
      upper = true;
      continue;
    }
    out += upper ? static_cast<char>(std::toupper(byte)) : c;
    upper = false;
  }
  return out;
}

}  // namespace

std::string ConstantName(std::string_view name) {
  return "k" + CamelCase(name);
}

std::string FunctionName(std::string_view words) {
  return CamelCase(words);
}

std::string NameScope::Add(std::string_view name) {
  const std::string base = ConstantName(name);
  std::string unique = base;
  for (int i = 2; !taken_.insert(unique).second; ++i) {
    unique = base + std::to_string(i);
  }
  return unique;
}

}  // namespace tyllm::compile
