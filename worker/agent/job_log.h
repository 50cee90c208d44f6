// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/file_system.h"
#include "common/base/handle.h"

namespace tyllm::agent {

/// The file of what a job prints: its beginning up to a limit, and the last lines of the rest. Used
/// by one thread, and nobody else writes the file.
class JobLog {
 public:
  /// Goes on at the end of a file that is there.
  static Result<JobLog> Open(Path path, std::int64_t limit);

  void Add(std::string_view text);
  /// Nothing is printed any more. Says how much was left out, and what its last lines were: the
  /// job's own error is among them.
  void Finish();

 private:
  JobLog(Path path, Fd fd, std::int64_t limit, std::int64_t size)
      : path_(std::move(path)), fd_(std::move(fd)), limit_(limit), size_(size) {}

  /// What the disk has no room for is left out, too.
  void Write(std::string_view text);
  void LeaveOut(std::string_view text);

  Path path_;
  Fd fd_;
  std::int64_t limit_;
  std::int64_t size_;
  std::int64_t left_out_ = 0;
  std::string tail_;  ///< of what was left out
};

}  // namespace tyllm::agent
