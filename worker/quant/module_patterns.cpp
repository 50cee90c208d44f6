// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/module_patterns.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tyllm::quant {

namespace {

struct CodeDeleter {
  void operator()(pcre2_code* code) const { ::pcre2_code_free(code); }
};

struct MatchDeleter {
  void operator()(pcre2_match_data* data) const { ::pcre2_match_data_free(data); }
};

using Code = std::unique_ptr<pcre2_code, CodeDeleter>;

PCRE2_SPTR Units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

std::string ErrorText(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  ::pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

bool Finds(const pcre2_code& code, std::string_view text) {
  const std::unique_ptr<pcre2_match_data, MatchDeleter> data(
      ::pcre2_match_data_create_from_pattern(&code, nullptr));
  return ::pcre2_match(&code, Units(text), text.size(), 0, 0, data.get(), nullptr) >= 0;
}

}  // namespace

struct ModulePatterns::Pattern {
  std::string expression;
  Code code;
};

ModulePatterns::ModulePatterns(std::vector<Pattern> patterns) : patterns_(std::move(patterns)) {}

ModulePatterns::ModulePatterns(ModulePatterns&&) noexcept = default;
ModulePatterns::~ModulePatterns() = default;

Result<ModulePatterns> ModulePatterns::Compile(std::span<const std::string> expressions) {
  std::vector<Pattern> patterns;
  for (const std::string& expression : expressions) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    Code code(::pcre2_compile(Units(expression), expression.size(), 0, &error, &offset, nullptr));
    if (code == nullptr) {
      return InvalidArgument("--keep-float '" + expression + "' is no regular expression: " +
                             ErrorText(error) + " at character " + std::to_string(offset + 1) +
                             "; a dot that stands for itself is written \\.");
    }
    patterns.push_back({expression, std::move(code)});
  }
  return ModulePatterns(std::move(patterns));
}

bool ModulePatterns::Match(std::string_view module) const {
  return std::ranges::any_of(patterns_,
                             [module](const Pattern& p) { return Finds(*p.code, module); });
}

std::vector<std::string> ModulePatterns::Unused(std::span<const std::string> modules) const {
  std::vector<std::string> unused;
  for (const Pattern& pattern : patterns_) {
    if (std::ranges::none_of(
            modules, [&](const std::string& module) { return Finds(*pattern.code, module); })) {
      unused.push_back(pattern.expression);
    }
  }
  return unused;
}

}  // namespace tyllm::quant
