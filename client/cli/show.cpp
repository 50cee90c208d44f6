// SPDX-License-Identifier: Apache-2.0
#include "client/cli/show.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace tyllm::client {

std::string When(std::int64_t unix_ms) {
  if (unix_ms == 0) {
    return "-";
  }
  const std::time_t seconds = unix_ms / 1000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  return {text.data(), size};
}

namespace {

std::string Took(std::int64_t from, std::int64_t to) {
  return from == 0 || to == 0 ? "-" : Duration(to - from);
}

std::string Detail(const domain::TaskView& task) {
  if (task.cached) {
    return "found in the cache";
  }
  if (task.state == domain::TaskState::kLeased) {
    return Describe(task.progress);
  }
  if (task.pending) {
    return Printable(task.pending->message);
  }
  return task.failure && task.state == domain::TaskState::kFailed ? Printable(task.failure->message)
                                                                  : "";
}

}  // namespace

std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:<{}}", row[i], i + 1 < row.size() ? widths[i] + 2 : 0);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string Bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string Duration(std::int64_t milliseconds) {
  const std::int64_t seconds = milliseconds / 1000;
  if (seconds < 60) {
    return fmt::format("{:.1f}s", static_cast<double>(milliseconds) / 1000);
  }
  return seconds < 3600 ? fmt::format("{}m{:02}s", seconds / 60, seconds % 60)
                        : fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

std::string Printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool control = byte < 0x20 || byte == 0x7f;
    out += control && c != '\n' && c != '\t' ? '?' : c;
  }
  return out;
}

std::string Describe(const domain::Progress& progress) {
  if (progress.stage.empty()) {
    return "";
  }
  std::string text = Printable(progress.stage);
  if (progress.total > 0) {
    const bool bytes = progress.unit == "bytes";
    text += bytes ? fmt::format(" {} of {}", Bytes(static_cast<std::uint64_t>(progress.done)),
                                Bytes(static_cast<std::uint64_t>(progress.total)))
                  : fmt::format(" {} of {} {}", progress.done, progress.total,
                                Printable(progress.unit));
  }
  return progress.message.empty() ? text : text + " (" + Printable(progress.message) + ")";
}

namespace {

// "attempt 2 on gpu1, in stage pack, signal 9, out of memory (host)"; empty: nothing of it is
// known.
std::string Circumstances(const domain::Failure& failure) {
  std::vector<std::string> parts;
  if (failure.attempt > 0) {
    parts.push_back(fmt::format("attempt {}{}", failure.attempt,
                                failure.worker.empty() ? "" : " on " + Printable(failure.worker)));
  }
  if (!failure.stage.empty()) {
    parts.push_back("in stage " + Printable(failure.stage));
  }
  if (failure.signal != 0) {
    parts.push_back(fmt::format("signal {}", failure.signal));
  } else if (failure.exit_code != 0) {
    parts.push_back(fmt::format("exit code {}", failure.exit_code));
  }
  if (failure.out_of_memory) {
    parts.push_back(
        fmt::format("out of memory ({})", domain::kMemoryKindNames.Name(*failure.out_of_memory)));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::string Describe(const domain::Failure& failure) {
  std::string text =
      fmt::format("{} (blame: {}): {}\n", Printable(failure.reason),
                  domain::kBlameNames.Name(failure.blame), Printable(failure.message));
  if (const std::string circumstances = Circumstances(failure); !circumstances.empty()) {
    text += circumstances + "\n";
  }
  if (!failure.action.empty()) {
    text += "what to do: " + Printable(failure.action) + "\n";
  }
  if (!failure.log_tail.empty()) {
    text += "last lines of the log:\n";
    std::string_view tail = failure.log_tail;
    while (!tail.empty()) {
      const std::size_t end = std::min(tail.find('\n'), tail.size());
      text += "  | " + Printable(tail.substr(0, end)) + "\n";
      tail.remove_prefix(std::min(end + 1, tail.size()));
    }
  }
  return text;
}

std::string Describe(const domain::JobView& job) {
  std::string text = fmt::format(
      "{}  {}  {}  {}  created {}\n", job.id.ToString(), domain::kJobKindNames.Name(job.spec.kind),
      Printable(job.spec.name), domain::kJobStateNames.Name(job.state), When(job.created_unix_ms));
  text += fmt::format("project {}, priority {}, {}\n", Printable(job.project), job.priority,
                      domain::kJobClassNames.Name(job.spec.job_class));
  if (!job.submitted_by.empty()) {
    text += "submitted by " + Printable(job.submitted_by) + "\n";
  }
  if (job.start_by_unix_ms > 0) {
    text += "is given up at " + When(job.start_by_unix_ms) + " unless a task of it has begun\n";
  }
  std::vector<std::vector<std::string>> rows = {
      {"task", "label", "state", "attempt", "worker", "time", ""}};
  for (const domain::TaskView& task : job.tasks) {
    rows.push_back({
        task.id.ToString(),
        Printable(task.label),
        std::string(domain::kTaskStateNames.Name(task.state)),
        std::to_string(task.attempt),
        task.worker.empty() ? "-" : Printable(task.worker),
        Took(task.started_unix_ms, task.ended_unix_ms),
        Detail(task),
    });
  }
  text += job.tasks.empty() ? "" : Table(rows);
  for (const auto& [name, tree] : job.outputs) {
    text += fmt::format("output {}: {}\n", Printable(name), tree.ToString());
  }
  if (job.retry_of) {
    text += "continues " + job.retry_of->ToString() + "\n";
  }
  for (const auto& [key, value] : job.labels) {
    text += fmt::format("label {}={}\n", Printable(key), Printable(value));
  }
  if (!IsFinal(job.state) && job.expected_end_unix_ms > 0) {
    text += "expected to end at " + When(job.expected_end_unix_ms) + "\n";
  }
  if (job.failure) {
    text += "failure: " + Describe(*job.failure);
  }
  return text;
}

std::string Describe(const std::vector<domain::JobView>& jobs) {
  std::vector<std::vector<std::string>> rows = {
      {"job", "kind", "name", "state", "created", "took"}};
  const bool have_names = std::ranges::any_of(
      jobs, [](const domain::JobView& job) { return !job.submitted_by.empty(); });
  if (have_names) {
    rows.front().emplace_back("by");
  }
  for (const domain::JobView& job : jobs) {
    rows.push_back({
        job.id.ToString(),
        std::string(domain::kJobKindNames.Name(job.spec.kind)),
        Printable(job.spec.name),
        std::string(domain::kJobStateNames.Name(job.state)),
        When(job.created_unix_ms),
        Took(job.created_unix_ms, job.ended_unix_ms),
    });
    if (have_names) {
      rows.back().push_back(job.submitted_by.empty() ? "-" : Printable(job.submitted_by));
    }
  }
  return Table(rows);
}

namespace {

// ", cordoned by ada (new disk)".
std::string ModeSuffix(const domain::ModeOrder& order) {
  if (order.mode == domain::WorkerMode::kActive) {
    return "";
  }
  return ", " + std::string(domain::kWorkerModeNames.Name(order.mode)) +
         (order.by.empty() ? "" : " by " + Printable(order.by)) +
         (order.reason.empty() ? "" : " (" + Printable(order.reason) + ")");
}

// ", benched (3 tasks in a row failed by its machine, the last WORKER_UNFIT; one to try from ...)".
std::string BenchSuffix(const std::optional<domain::Bench>& bench) {
  if (!bench) {
    return "";
  }
  return fmt::format(
      ", benched ({} tasks in a row failed by its machine, the last {}; one to try from {})",
      bench->failures, Printable(bench->reason), When(bench->until_unix_ms));
}

}  // namespace

namespace {

// Without their versions, which --json has; "-" for none.
std::string ToolNames(const std::map<std::string, std::string>& tools) {
  std::string names;
  for (const auto& [name, version] : tools) {
    names += (names.empty() ? "" : ",") + Printable(name);
  }
  return names.empty() ? "-" : names;
}

}  // namespace

std::string Describe(const std::vector<domain::WorkerView>& workers) {
  std::vector<std::vector<std::string>> rows = {
      {"worker", "state", "device", "slots", "memory", "disk free", "toolchain", "tools", "tasks"}};
  for (const domain::WorkerView& worker : workers) {
    std::string tasks;
    for (const domain::TaskId& task : worker.tasks) {
      tasks += (tasks.empty() ? "" : " ") + task.ToString();
    }
    const domain::Capabilities& has = worker.capabilities;
    rows.push_back({
        Printable(worker.name),
        std::string(worker.online ? "online" : "offline") + ModeSuffix(worker.order) +
            (worker.online ? BenchSuffix(worker.bench) : ""),
        Printable(has.device),
        std::to_string(has.slots),
        Bytes(static_cast<std::uint64_t>(has.memory_bytes)),
        Bytes(static_cast<std::uint64_t>(has.disk_free_bytes)),
        Printable(has.toolchain_version),
        ToolNames(has.tools),
        tasks.empty() ? "-" : tasks,
    });
  }
  return Table(rows);
}

}  // namespace tyllm::client
