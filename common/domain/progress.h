// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "common/format/json.h"

namespace tyllm::domain {

/// How far a task is. Written by `tyllm --progress-fd N` as one JSON object a line, passed on by
/// the worker, stored by the server, shown by the client.
struct Progress {
  std::string stage;  ///< "calibrate", "quantize", "pack", "compile", ...
  std::int64_t done = 0;
  std::int64_t total = 0;  ///< 0: unknown
  std::string unit;        ///< "layers", "tokens", "programs", "bytes"
  std::string message;     ///< for people; may be empty

  bool operator==(const Progress&) const = default;
};

/// Where long work tells how far it is. Called from the thread that does the work; cheap; may drop
/// records that come faster than anybody can read, but never the last one of a stage.
class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  virtual void Report(const Progress& progress) = 0;
};

/// For callers that do not care.
class NoProgress final : public ProgressSink {
 public:
  void Report(const Progress& /*progress*/) override {}
};

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::Progress> {
  using P = tyllm::domain::Progress;
  static constexpr auto kTable = std::tuple{
      Member{"stage", &P::stage, true}, Member{"done", &P::done},       Member{"total", &P::total},
      Member{"unit", &P::unit},         Member{"message", &P::message},
  };
};
