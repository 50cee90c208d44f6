// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace tyllm::model {

/// Text without white space at both ends, as Jinja's filter `trim` and Python's strip() take it
/// away. Text that is not UTF-8 stays as it is.
std::string Trimmed(std::string_view text);

}  // namespace tyllm::model
