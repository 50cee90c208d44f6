// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace tyllm::model {

/// The system message that a ChatML template writes by itself: what stands between
/// "<|im_start|>system\n" and "<|im_end|>", as text of the template or within one of its strings,
/// whose escapes are read, or what a variable that stands there is set to when the conversation has
/// no such message. Empty where it has none. kUnimplemented where it puts one together from parts,
/// or has several. `what` names the template.
Result<std::string> FindDefaultSystem(std::string_view text, std::string_view what);

}  // namespace tyllm::model
