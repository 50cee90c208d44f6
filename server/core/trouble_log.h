// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "common/base/result.h"
#include "common/telemetry/log.h"

namespace tyllm::server::core {

/// Tells of something that is done again and again when it begins to fail, fails otherwise, and
/// works again: not each time.
class TroubleLog {
 public:
  /// `log` may be null. `what` is done: "removing what is old".
  TroubleLog(telemetry::Log* log, std::string what) : log_(log), what_(std::move(what)) {}

  void Note(const Status& status) {
    if (log_ != nullptr && !status.ok() && status.message() != last_.message()) {
      log_->Error(what_ + " failed; it is tried again", {{"why", status.ToString()}});
    } else if (log_ != nullptr && status.ok() && !last_.ok()) {
      log_->Info(what_ + " works again");
    }
    last_ = status;
  }

 private:
  telemetry::Log* const log_;
  const std::string what_;
  Status last_;
};

}  // namespace tyllm::server::core
