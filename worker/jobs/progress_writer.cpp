// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/progress_writer.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "common/base/terminal.h"

namespace tyllm::jobs {

namespace {

constexpr int kWriteWaitMillis = 5000;  // for a reader that is slow; then it counts as gone

Milliseconds IntervalOf(ProgressStyle style) {
  switch (style) {
    case ProgressStyle::kJsonLines:
      return Milliseconds(200);
    case ProgressStyle::kTerminalLine:
      return Milliseconds(100);
    case ProgressStyle::kPlainLines:
      return Milliseconds(3000);
  }
  return Milliseconds(0);
}

// "quantize 3/7 layers (43 %): model.layers.2"
std::string ForPeople(const domain::Progress& progress) {
  std::string text = progress.stage;
  if (progress.total > 0) {
    text += " " + std::to_string(progress.done) + "/" + std::to_string(progress.total);
  } else if (progress.done > 0) {
    text += " " + std::to_string(progress.done);
  }
  if (!progress.unit.empty() && (progress.total > 0 || progress.done > 0)) {
    text += " " + progress.unit;
  }
  if (progress.total > 0) {
    const double share = static_cast<double>(progress.done) / static_cast<double>(progress.total);
    text += " (" + std::to_string(static_cast<int>(share * 100.0)) + " %)";
  }
  if (!progress.message.empty()) {
    text += ": " + progress.message;
  }
  return text;
}

bool IsLastOfStage(const domain::Progress& progress) {
  return progress.total > 0 && progress.done >= progress.total;
}

}  // namespace

ProgressWriter::ProgressWriter(int fd, ProgressStyle style, const Clock& clock)
    : fd_(fd), style_(style), clock_(clock) {}

ProgressWriter::~ProgressWriter() {
  WriteHeldBack();
  if (style_ == ProgressStyle::kTerminalLine && !stage_.empty()) {
    Send("\r\x1b[K");
  }
}

void ProgressWriter::Report(const domain::Progress& progress) {
  const bool new_stage = progress.stage != stage_;
  if (new_stage) {
    WriteHeldBack();
  }
  if (new_stage || IsLastOfStage(progress) || clock_.Now() - written_at_ >= IntervalOf(style_)) {
    Write(progress);
  } else {
    held_back_ = progress;
  }
}

void ProgressWriter::WriteHeldBack() {
  if (held_back_) {
    Write(domain::Progress(*held_back_));
  }
}

void ProgressWriter::Write(const domain::Progress& progress) {
  held_back_.reset();
  stage_ = progress.stage;
  written_at_ = clock_.Now();
  switch (style_) {
    case ProgressStyle::kJsonLines:
      Send(format::CompactJson(format::ToJson(progress)) + "\n");
      return;
    case ProgressStyle::kTerminalLine:
      Send("\r\x1b[K" + std::string(CutToColumns(ForPeople(progress), TerminalColumns(fd_) - 1)));
      return;
    case ProgressStyle::kPlainLines:
      Send(ForPeople(progress) + "\n");
      return;
  }
}

void ProgressWriter::Send(std::string_view text) {
  while (!broken_ && !text.empty()) {
    const ssize_t sent = ::write(fd_, text.data(), text.size());
    if (sent >= 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      pollfd waiting{fd_, POLLOUT, 0};
      broken_ = ::poll(&waiting, 1, kWriteWaitMillis) <= 0;
    } else if (errno != EINTR) {
      broken_ = true;
    }
  }
}

}  // namespace tyllm::jobs
