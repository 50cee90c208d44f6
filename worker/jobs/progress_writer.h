// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/domain/progress.h"

namespace tyllm::jobs {

/// How progress records look on a descriptor.
enum class ProgressStyle : std::uint8_t {
  kJsonLines,     ///< one domain::Progress as a JSON object a line: for the worker
  kTerminalLine,  ///< one line that is redrawn, for a person who watches
  kPlainLines,    ///< a line of text every few seconds: for log files
};

/// Writes progress to a descriptor that it does not own. Records that come faster than the style's
/// interval are dropped, but never the first and the last of a stage. A reader that went away ends
/// the writing, not the work. One thread at a time.
class ProgressWriter final : public domain::ProgressSink {
 public:
  ProgressWriter(int fd, ProgressStyle style, const Clock& clock);
  ProgressWriter(const ProgressWriter&) = delete;
  ProgressWriter& operator=(const ProgressWriter&) = delete;
  /// Writes what was held back, and clears a terminal's line.
  ~ProgressWriter() override;

  void Report(const domain::Progress& progress) override;

 private:
  void Write(const domain::Progress& progress);
  void WriteHeldBack();
  void Send(std::string_view text);

  int fd_;
  ProgressStyle style_;
  const Clock& clock_;
  bool broken_ = false;
  std::optional<domain::Progress> held_back_;
  std::string stage_;
  Clock::Steady written_at_{};
};

}  // namespace tyllm::jobs
