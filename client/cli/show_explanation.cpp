// SPDX-License-Identifier: Apache-2.0
#include "client/cli/show_explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "client/cli/show.h"

namespace tyllm::client {

namespace {

std::string Joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    all += (all.empty() ? "" : ", ") + Printable(text);
  }
  return all;
}

std::string WhyPending(const domain::Pending& pending) {
  std::string text =
      fmt::format("  waits ({}): {}\n", domain::kPendingReasonNames.Name(pending.reason),
                  Printable(pending.message));
  if (pending.expected_wait_ms >= 0) {
    text += fmt::format("  expected to start in {}\n", Duration(pending.expected_wait_ms));
  }
  return text;
}

std::string CacheLine(const domain::TaskExplanation& task) {
  if (task.action_key.empty()) {
    return "  cache: not known yet, an input is not there\n";
  }
  const std::string use =
      task.cache ? std::string(domain::kCacheUseNames.Name(*task.cache)) : "not known yet";
  return fmt::format("  cache: {}{}, key {}\n", use,
                     task.cache_task ? " (" + task.cache_task->ToString() + ")" : "",
                     task.action_key);
}

std::string CheckpointLine(const domain::Checkpoint& checkpoint) {
  const std::string done = Describe(domain::Progress{
      .stage = checkpoint.stage, .done = checkpoint.done, .total = checkpoint.total});
  return fmt::format("  unfinished work: {}, uploaded at {}, tree {}\n",
                     done.empty() ? "not known how much" : done, When(checkpoint.unix_ms),
                     checkpoint.tree.ToString());
}

std::string AttemptLine(const domain::AttemptRecord& attempt) {
  std::string text =
      fmt::format("  attempt {} on {}: {}", attempt.attempt, Printable(attempt.worker),
                  attempt.ending ? domain::kEndingNames.Name(*attempt.ending) : "runs");
  if (attempt.ended_unix_ms > 0) {
    text += " after " + Duration(attempt.ended_unix_ms - attempt.started_unix_ms);
  }
  if (attempt.failure) {
    text += fmt::format(", {} (blame: {}): {}", Printable(attempt.failure->reason),
                        domain::kBlameNames.Name(attempt.failure->blame),
                        Printable(attempt.failure->message));
  }
  return text + fmt::format(", log of {}{}\n", Bytes(static_cast<std::uint64_t>(attempt.log_bytes)),
                            attempt.ending && !attempt.counted &&
                                    *attempt.ending != domain::Ending::kSucceeded
                                ? ", not counted against the task"
                                : "");
}

std::string Requirements(const std::vector<domain::Requirement>& requirements) {
  std::vector<std::string> texts;
  for (const domain::Requirement& one : requirements) {
    const char* const sign = one.rule == domain::MatchRule::kMinimum     ? " >= "
                             : one.rule == domain::MatchRule::kPreferred ? " preferably "
                             : one.rule == domain::MatchRule::kPresent   ? ""
                                                                         : " = ";
    texts.push_back(one.property + sign + one.value);
  }
  return texts.empty() ? "" : "  wants a worker with " + Joined(texts) + "\n";
}

std::string Describe(const domain::TaskExplanation& task) {
  std::string text = fmt::format("{} {} {}\n", task.task.id.ToString(), Printable(task.task.label),
                                 domain::kTaskStateNames.Name(task.task.state));
  if (!task.needs.empty()) {
    text += "  takes the output of " + Joined(task.needs) + "\n";
  }
  if (task.task.pending) {
    text += WhyPending(*task.task.pending);
  }
  text += Requirements(task.requirements) + CacheLine(task);
  if (task.task.checkpoint) {
    text += CheckpointLine(*task.task.checkpoint);
  }
  for (const domain::AttemptRecord& attempt : task.attempts) {
    text += AttemptLine(attempt);
  }
  for (const domain::Decision& decision : task.decisions) {
    text += "  decided: " + Printable(decision.text) + "\n";
  }
  const auto& failure = task.task.failure;
  if (failure && !failure->action.empty()) {
    text += "  what to do: " + Printable(failure->action) + "\n";
  }
  return text;
}

std::string Describe(const domain::Shortfall& shortfall) {
  const domain::Requirement& asked = shortfall.asked;
  const char* const sign = asked.rule == domain::MatchRule::kMinimum   ? ">="
                           : asked.rule == domain::MatchRule::kPresent ? ""
                                                                       : "=";
  return fmt::format(
      "{}{}{} ({})", asked.property, sign, asked.value,
      shortfall.best.empty() ? "no worker states it" : "best on offer: " + shortfall.best);
}

std::string OrUnknown(std::int64_t milliseconds) {
  return milliseconds < 0 ? "not known" : Duration(milliseconds);
}

// "40 s (30 s to 2 min)", where it was not always the same.
std::string RunTime(std::int64_t usual, std::int64_t low, std::int64_t high) {
  if (usual < 0 || low < 0 || low == high) {
    return OrUnknown(usual);
  }
  return OrUnknown(usual) + " (" + Duration(low) + " to " + Duration(high) + ")";
}

std::string OrDash(std::int64_t bytes) {
  return bytes == 0 ? "-" : Bytes(static_cast<std::uint64_t>(bytes));
}

}  // namespace

std::string WarningOf(const domain::JobView& job) {
  std::string text;
  for (const domain::TaskView& task : job.tasks) {
    if (!task.pending || task.pending->reason != domain::PendingReason::kNoWorker) {
      continue;
    }
    std::string asked;
    for (const domain::Shortfall& shortfall : task.pending->shortfalls) {
      asked += (asked.empty() ? "; asked for " : ", ") + Describe(shortfall);
    }
    text += fmt::format("warning: {} waits ({}): {}{}\n", Printable(task.label),
                        domain::kPendingReasonNames.Name(task.pending->reason),
                        Printable(task.pending->message), Printable(asked));
  }
  return text;
}

std::string Describe(const domain::JobExplanation& explanation) {
  std::string text = Describe(explanation.job);
  for (const domain::TaskExplanation& task : explanation.tasks) {
    text += "\n" + Describe(task);
  }
  return text;
}

std::string Describe(const domain::Validation& validation) {
  std::string text;
  for (const domain::Problem& problem : validation.problems) {
    text += fmt::format("{}{}: {}\n", problem.reason,
                        problem.field.empty() ? "" : " " + Printable(problem.field),
                        Printable(problem.message));
  }
  std::vector<std::vector<std::string>> rows = {
      {"task", "cached", "joins", "workers", "free", "usual time", "memory", "GPU memory"}};
  for (const domain::TaskForecast& task : validation.tasks) {
    rows.push_back(
        {Printable(task.label), task.cached ? "yes" : "no",
         task.joins ? task.joins->ToString() : "-", std::to_string(task.eligible_workers),
         std::to_string(task.free_workers),
         RunTime(task.expected_run_ms, task.expected_run_low_ms, task.expected_run_high_ms),
         OrDash(task.expected.memory_bytes), OrDash(task.expected.gpu_memory_bytes)});
  }
  text += validation.tasks.empty() ? "" : Table(rows);
  if (!validation.tasks.empty()) {
    text +=
        fmt::format("expected wait: {}\nexpected run: {}\n", OrUnknown(validation.expected_wait_ms),
                    RunTime(validation.expected_run_ms, validation.expected_run_low_ms,
                            validation.expected_run_high_ms));
  }
  return text;
}

}  // namespace tyllm::client
