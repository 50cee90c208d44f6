// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/child_job.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "common/format/json.h"
#include "worker/agent/job_log.h"
#include "worker/agent/strays.h"

namespace tyllm::agent {

namespace {

constexpr int kProgressFd = 3;
constexpr std::size_t kLongestRecord = 64 << 10;

// Splits what comes through the pipe into records; a line that is no record is dropped, because a
// job's progress is a courtesy and never a reason to fail it.
class RecordReader {
 public:
  explicit RecordReader(const std::function<void(const domain::Progress&)>& on_progress)
      : on_progress_(on_progress) {}

  void Add(std::string_view bytes) {
    pending_ += bytes;
    std::size_t end = 0;
    while ((end = pending_.find('\n')) != std::string::npos) {
      Take(std::string_view(pending_).substr(0, end));
      pending_.erase(0, end + 1);
    }
    if (pending_.size() > kLongestRecord) {
      pending_.clear();
    }
  }

  const domain::Progress& last() const { return last_; }

  const domain::Resources& used() const { return used_; }

 private:
  void Take(std::string_view line) {
    const auto json = format::ParseJson(line, "progress record");
    if (!json.ok()) {
      return;
    }
    if (json->is_object() && json->contains("used")) {
      TakeUsed((*json)["used"]);
      return;
    }
    auto record =
        format::FromJson<domain::Progress>(*json, "progress record", format::UnknownKeys::kIgnore);
    if (record.ok()) {
      last_ = *std::move(record);
      on_progress_(last_);
    }
  }

  void TakeUsed(const format::Json& json) {
    const auto used =
        format::FromJson<domain::Resources>(json, "used", format::UnknownKeys::kIgnore);
    if (used.ok()) {
      used_ = *used;
    }
  }

  const std::function<void(const domain::Progress&)>& on_progress_;
  std::string pending_;
  domain::Progress last_;
  domain::Resources used_;
};

// The read end of a pipe of which others hold the write end.
template <typename Sink>
class Stream {
 public:
  Stream(Fd fd, Sink& sink) : fd_(std::move(fd)), sink_(sink) {}

  pollfd Wanted() const { return {fd_ ? fd_.get() : -1, POLLIN, 0}; }

  /// One read; there is something, or the end.
  std::size_t ReadSome() {
    std::array<char, 16384> buffer;
    const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
    if (got > 0) {
      sink_.Add({buffer.data(), static_cast<std::size_t>(got)});
      return static_cast<std::size_t>(got);
    }
    if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
      fd_.Reset();
    }
    return 0;
  }

  /// What is there now, and no more: a process that left the group may go on writing. Then closed.
  void Finish() {
    const int capacity = fd_ ? ::fcntl(fd_.get(), F_GETPIPE_SZ) : 0;
    std::size_t left = static_cast<std::size_t>(std::max(capacity, 0));
    for (pollfd wanted = Wanted(); left > 0 && ::poll(&wanted, 1, 0) > 0; wanted = Wanted()) {
      left -= std::min(left, ReadSome());
    }
    fd_.Reset();
  }

 private:
  Fd fd_;
  Sink& sink_;
};

// Watches a running child: its progress, its output, its end, and the request to stop it.
class Watch {
 public:
  Watch(ChildProcess& child, Stream<RecordReader> progress, Stream<JobLog> output,
        const ChildJob& job)
      : child_(child), progress_(std::move(progress)), output_(std::move(output)), job_(job) {}

  Result<ChildEnd> Run(const std::stop_token& stop) {
    const Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const std::stop_callback on_stop(stop, [&wake] { ::eventfd_write(wake.get(), 1); });
    ChildEnd end;
    while (true) {
      TYLLM_ASSIGN(const std::optional<ExitStatus> exit, child_.Poll());
      if (exit) {
        end.exit = *exit;
        break;
      }
      if (stop.stop_requested()) {
        end.stopped = true;
        Terminate();
      }
      WaitForNews(wake.get(), end.stopped);
    }
    child_.SignalGroup(SIGKILL);  // whatever it left behind
    EndStrays(job_.log.string());
    progress_.Finish();
    output_.Finish();
    return end;
  }

 private:
  // The first call asks, a later one insists.
  void Terminate() {
    const auto now = std::chrono::steady_clock::now();
    if (!asked_) {
      asked_ = now;
      child_.SignalGroup(SIGTERM);
    } else if (now - *asked_ >= job_.grace || job_.at_once.stop_requested()) {
      child_.SignalGroup(SIGKILL);
    }
  }

  void WaitForNews(int wake, bool stopping) {
    std::array<pollfd, 4> news = {
        pollfd{child_.exit_fd(), POLLIN, 0},
        progress_.Wanted(),
        output_.Wanted(),
        pollfd{stopping ? -1 : wake, POLLIN, 0},
    };
    ::poll(news.data(), news.size(), stopping ? 50 : 60'000);
    if (news[1].revents != 0) {
      progress_.ReadSome();
    }
    if (news[2].revents != 0) {
      output_.ReadSome();
    }
  }

  ChildProcess& child_;
  Stream<RecordReader> progress_;
  Stream<JobLog> output_;
  const ChildJob& job_;
  std::optional<std::chrono::steady_clock::time_point> asked_;
};

}  // namespace

Result<ChildEnd> RunChildJob(const ChildJob& job,
                             const std::function<void(const domain::Progress&)>& on_progress,
                             const std::stop_token& stop) {
  TYLLM_ASSIGN(Pipe progress, MakePipe());
  TYLLM_ASSIGN(Pipe output, MakePipe());
  TYLLM_ASSIGN(JobLog log, JobLog::Open(job.log, job.log_limit));
  CommandLine command{.argv = job.argv};
  command.argv.insert(command.argv.end(), {"--progress-fd", std::to_string(kProgressFd)});
  command.environment = {std::string(kJobVariable) + "=" + job.log.string()};
  command.descriptors = {
      {output.write.get(), 1}, {output.write.get(), 2}, {progress.write.get(), kProgressFd}};
  AdoptStrays();
  const MemoryKills kills;
  TYLLM_ASSIGN(ChildProcess child, ChildProcess::Spawn(command));
  progress.write.Reset();
  output.write.Reset();
  if (job.on_start) {
    job.on_start(child.pid());
  }
  RecordReader records(on_progress);
  Watch watch(child, Stream(std::move(progress.read), records), Stream(std::move(output.read), log),
              job);
  TYLLM_ASSIGN(ChildEnd end, watch.Run(stop));
  log.Finish();
  end.progress = records.last();
  end.used = records.used();
  end.memory = kills.SinceStart();
  return end;
}

}  // namespace tyllm::agent
