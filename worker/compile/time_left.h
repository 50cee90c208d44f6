// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/domain/progress.h"
#include "worker/compile/compile_time.h"

namespace tyllm::compile {

/// Passes progress on with ", about 40 s left" in its message, where it is known what the stages
/// take: from what was expected of those before and how long they took. One thread at a time.
class TimeLeft final : public domain::ProgressSink {
 public:
  TimeLeft(domain::ProgressSink& sink, const Clock& clock) : sink_(sink), clock_(clock) {}

  /// Before the first record that is to have it.
  void Expect(const CompileTime& time);

  void Report(const domain::Progress& progress) override;

 private:
  /// Expected of what is done, of all.
  std::optional<double> Done(const domain::Progress& progress) const;

  domain::ProgressSink& sink_;
  const Clock& clock_;
  std::optional<CompileTime> expected_;
  Clock::Steady start_{};
};

}  // namespace tyllm::compile
