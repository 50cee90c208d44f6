// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/time_left.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tyllm::compile {
namespace {

/// Stages in the order in which they come, and what is expected of them.
constexpr std::array<std::pair<std::string_view, double CompileTime::*>, 5> kStages{
    {{"check", &CompileTime::check},
     {"pack", &CompileTime::pack},
     {"compile", &CompileTime::compile},
     {"golden", &CompileTime::golden},
     {"verify", &CompileTime::verify}}};

/// Less says nothing of the machine's speed.
constexpr double kSecondsToLearn = 1.0;

std::string Left(double seconds) {
  return seconds < 100
             ? "about " + std::to_string(static_cast<int>(seconds) + 1) + " s left"
             : "about " + std::to_string(static_cast<int>(seconds / 60) + 1) + " min left";
}

}  // namespace

void TimeLeft::Expect(const CompileTime& time) {
  expected_ = time;
  start_ = clock_.Now();
}

std::optional<double> TimeLeft::Done(const domain::Progress& progress) const {
  double before = 0;
  for (const auto& [stage, seconds] : kStages) {
    if (stage == progress.stage) {
      const double part = progress.total > 0 ? static_cast<double>(progress.done) /
                                                   static_cast<double>(progress.total)
                                             : 0;
      return before + std::min(1.0, part) * (*expected_).*seconds;
    }
    before += (*expected_).*seconds;
  }
  return std::nullopt;  // a stage of towers, or one that is over in a moment
}

void TimeLeft::Report(const domain::Progress& progress) {
  const std::optional<double> done = expected_ ? Done(progress) : std::nullopt;
  const double passed = std::chrono::duration<double>(clock_.Now() - start_).count();
  if (!done || (*done <= 0 && passed > 0 && progress.done > 0)) {
    sink_.Report(progress);
    return;
  }
  const double left = std::max(0.0, expected_->total() - *done);
  const double pace = *done > kSecondsToLearn ? passed / *done : 1;
  domain::Progress with_time = progress;
  with_time.message += (with_time.message.empty() ? "" : ", ") + Left(left * pace);
  sink_.Report(with_time);
}

}  // namespace tyllm::compile
