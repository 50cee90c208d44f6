// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "common/base/clock.h"
#include "common/base/handle.h"
#include "common/cli/command.h"
#include "common/domain/progress.h"

namespace tyllm::app {

/// What the commands of one run of `tyllm` share. Commands get it when they are declared and keep a
/// reference.
class Invocation {
 public:
  explicit Invocation(const Clock& clock) : clock_(clock) {}

  /// --progress-fd; bound to this object.
  std::vector<cli::Option> GlobalOptions();

  /// Where one piece of work reports. Use it as a temporary, so that the progress display is gone
  /// before results or errors are printed:
  ///   const auto report = quant::Quantize(request, *invocation.OpenProgress());
  /// With --progress-fd: JSON lines there. Otherwise on standard error: a redrawn line on a
  /// terminal, else a line every few seconds.
  std::unique_ptr<domain::ProgressSink> OpenProgress() const;

  /// What --progress-fd named, opened once more; empty without it.
  Fd ProgressPipe() const;

 private:
  Status UseProgressFd(std::string_view text);

  const Clock& clock_;
  int progress_fd_ = -1;  // -1: none given
};

}  // namespace tyllm::app
