// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace tyllm::quant {

/// Regular expressions (PCRE2) of module names. A name matches when any expression is found
/// anywhere in it. Immutable; usable from any thread.
class ModulePatterns {
 public:
  /// An expression that is none is kInvalidArgument, with what is wrong with it and where.
  static Result<ModulePatterns> Compile(std::span<const std::string> expressions);
  ModulePatterns(ModulePatterns&&) noexcept;
  ~ModulePatterns();

  bool Match(std::string_view module) const;
  /// The expressions that match none of `modules`: probably mistakes.
  std::vector<std::string> Unused(std::span<const std::string> modules) const;

 private:
  struct Pattern;
  explicit ModulePatterns(std::vector<Pattern> patterns);
  std::vector<Pattern> patterns_;
};

}  // namespace tyllm::quant
