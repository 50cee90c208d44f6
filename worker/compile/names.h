// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace tyllm::compile {

/// "self_attn.q_proj" -> "kSelfAttnQProj": a constant's name for a tensor's or buffer's.
std::string ConstantName(std::string_view name);
/// "attention q+k+v" -> "AttentionQKV": a function's name.
std::string FunctionName(std::string_view words);

/// Constant names of one scope, each different.
class NameScope {
 public:
  /// ConstantName(name), with a number behind it when that is taken.
  std::string Add(std::string_view name);

 private:
  std::set<std::string> taken_;
};

}  // namespace tyllm::compile
