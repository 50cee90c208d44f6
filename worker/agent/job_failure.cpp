// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/job_failure.h"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <string>

#include "common/cli/command.h"

namespace tyllm::agent {

namespace {

using domain::Blame;
using domain::MemoryKind;

constexpr std::size_t kTailBytes = 2048;

std::string Tail(const Path& log, std::int64_t& size) {
  std::ifstream in(log, std::ios::binary | std::ios::ate);
  size = in ? static_cast<std::int64_t>(in.tellg()) : 0;
  const std::int64_t start =
      std::max<std::int64_t>(0, size - static_cast<std::int64_t>(kTailBytes));
  std::string text(static_cast<std::size_t>(size - start), '\0');
  in.seekg(start);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (start > 0) {
    const std::size_t line = text.find('\n');
    text.erase(0, line == std::string::npos ? 0 : line + 1);
  }
  return text;
}

// The last "error: ..." line of the log is what the job said of itself.
std::string LastError(const std::string& tail) {
  constexpr std::string_view kMark = "error: ";
  const std::size_t at = tail.rfind(kMark);
  if (at == std::string::npos) {
    return "";
  }
  const std::size_t end = tail.find('\n', at);
  return tail.substr(at + kMark.size(), end - at - kMark.size());
}

struct Meaning {
  Blame blame;
  std::string_view reason;
  bool retryable;
  std::optional<MemoryKind> memory;
  std::string_view action;
};

constexpr Meaning kBadArguments{Blame::kUser, "BAD_ARGUMENTS", false, std::nullopt,
                                "mend what the message names and submit again"};
constexpr Meaning kInputNotFound{Blame::kUser, "INPUT_NOT_FOUND", false, std::nullopt,
                                 "submit the model with the file that the message names"};
constexpr Meaning kRefused{Blame::kUser, "REFUSED", false, std::nullopt,
                           "mend what the message names and submit again"};
constexpr Meaning kUnfit{Blame::kWorker, "WORKER_UNFIT", true, std::nullopt,
                         "mend what the message names on that machine; until then another worker "
                         "takes the task, if there is one"};
constexpr Meaning kToolMissing{
    Blame::kWorker, domain::kToolMissingReason, true, std::nullopt,
    "install what the message names on that machine and start its worker "
    "again; until then another worker takes the task, if there is one"};
constexpr Meaning kOutOfResources{Blame::kWorker, "OUT_OF_RESOURCES", true, std::nullopt,
                                  "make room on the worker's disk, or have a worker with more"};
constexpr Meaning kOutOfMemory{
    Blame::kWorker, "OUT_OF_MEMORY", true, MemoryKind::kHost,
    "require a worker with more memory (memory_bytes), or give the worker fewer slots"};
constexpr Meaning kOutOfGpuMemory{Blame::kWorker, "GPU_OUT_OF_MEMORY", true, MemoryKind::kGpu,
                                  "a worker with more GPU memory takes it; have one in the farm"};
constexpr Meaning kKilled{
    Blame::kWorker, "KILLED", true, std::nullopt,
    "find out who killed the process on that machine: the kernel did not for want of memory"};
constexpr Meaning kCrashed{Blame::kToolchain, "CRASHED", true, std::nullopt,
                           "report it with the log; `tyllm-client reproduce` makes a test case"};
constexpr Meaning kConditionHolds{
    Blame::kModel, "CONDITION_HOLDS", false, std::nullopt,
    "the model is not as good as --fail-if asks: quantize it otherwise, or ask for less"};
constexpr Meaning kFailed{Blame::kToolchain, "FAILED", false, std::nullopt,
                          "read the log; report it if the message does not tell what to do"};

const Meaning& OfExitCode(int code, MemoryEvidence memory) {
  switch (static_cast<cli::ExitCode>(code)) {
    case cli::ExitCode::kBadArguments:
      return kBadArguments;
    case cli::ExitCode::kNotFound:
      return kInputNotFound;
    case cli::ExitCode::kRefused:
      return kRefused;
    case cli::ExitCode::kMachine:
    case cli::ExitCode::kUnreachable:  // a job talks to nobody but its machine
      return kUnfit;
    case cli::ExitCode::kToolMissing:
      return kToolMissing;
    case cli::ExitCode::kOutOfResources:
      return kOutOfResources;
    case cli::ExitCode::kOutOfMemory:
      return kOutOfMemory;
    case cli::ExitCode::kOutOfGpuMemory:
      return kOutOfGpuMemory;
    case cli::ExitCode::kConditionHolds:
      return kConditionHolds;
    case cli::ExitCode::kOk:
    case cli::ExitCode::kFailed:
    case cli::ExitCode::kJobFailed:
    case cli::ExitCode::kJobCancelled:
    case cli::ExitCode::kInterrupted:
      break;
  }
  // The job may have lost a compiler that it had started.
  return memory == MemoryEvidence::kGroup ? kOutOfMemory : kFailed;
}

const Meaning& MeaningOf(const ChildEnd& end) {
  if (end.exit.signal == 0) {
    return OfExitCode(end.exit.code, end.memory);
  }
  if (end.exit.signal != SIGKILL) {
    return kCrashed;
  }
  return end.memory == MemoryEvidence::kNone ? kKilled : kOutOfMemory;
}

std::string Message(const ChildEnd& end, const Meaning& meaning, const std::string& said) {
  if (!said.empty()) {
    return said;
  }
  std::string text = "the job process ended with " + end.exit.ToString() +
                     (end.progress.stage.empty() ? "" : " in stage '" + end.progress.stage + "'");
  if (meaning.memory == MemoryKind::kHost) {
    text += ": the machine's memory ran out";
  }
  return text;
}

}  // namespace

domain::Failure FailureOf(const ChildEnd& end, const Path& log) {
  const Meaning& meaning = MeaningOf(end);
  domain::Failure failure;
  failure.blame = meaning.blame;
  failure.reason = meaning.reason;
  failure.retryable = meaning.retryable;
  failure.out_of_memory = meaning.memory;
  failure.action = meaning.action;
  failure.stage = end.progress.stage.empty() ? "start" : end.progress.stage;
  failure.exit_code = end.exit.code;
  failure.signal = end.exit.signal;
  failure.log_tail = Tail(log, failure.log_bytes);
  // A process that was killed had no last word: an error in its log is of something else.
  failure.message =
      Message(end, meaning, end.exit.signal == 0 ? LastError(failure.log_tail) : std::string());
  return failure;
}

}  // namespace tyllm::agent
