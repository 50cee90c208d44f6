// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace tyllm::server::web {

/// The text as HTML shows it, within elements and quoted attributes.
std::string Escaped(std::string_view text);

}  // namespace tyllm::server::web
