// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "server/core/farm.h"

namespace tyllm::server::core {

/// A line of the log: what somebody has asked for and got. `of` is what it was done to; `by` may be
/// empty.
inline void LogChange(const Farm& farm, std::string_view what, const telemetry::LogField& of,
                      const std::string& by) {
  if (farm.parts.log == nullptr) {
    return;
  }
  if (by.empty()) {
    farm.parts.log->Info(what, {of});
  } else {
    farm.parts.log->Info(what, {of, {"by", by}});
  }
}

}  // namespace tyllm::server::core
