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

Result<Fd> OpenLog(const Path& log) {
  Fd fd(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd) {
    return FromErrno(errno, "opening " + log.string());
  }
  return fd;
}

// Drains what is readable now; false at the end of the stream.
bool ReadSome(int fd, RecordReader& records) {
  std::array<char, 4096> buffer;
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got > 0) {
    records.Add({buffer.data(), static_cast<std::size_t>(got)});
  }
  return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

// Watches a running child: its progress, its end, and the request to stop it.
class Watch {
 public:
  Watch(ChildProcess& child, Fd progress, const ChildJob& job, RecordReader& records)
      : child_(child), progress_(std::move(progress)), job_(job), records_(records) {}

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
    // Only what is there: a process that left the group may hold the pipe open.
    while (HasProgress() && ReadSome(progress_.get(), records_)) {
    }
    end.progress = records_.last();
    end.used = records_.used();
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

  bool HasProgress() const {
    pollfd ready{progress_ ? progress_.get() : -1, POLLIN, 0};
    return ::poll(&ready, 1, 0) > 0;
  }

  void WaitForNews(int wake, bool stopping) {
    std::array<pollfd, 3> news = {
        pollfd{child_.exit_fd(), POLLIN, 0},
        pollfd{progress_ ? progress_.get() : -1, POLLIN, 0},
        pollfd{stopping ? -1 : wake, POLLIN, 0},
    };
    ::poll(news.data(), news.size(), stopping ? 50 : 60'000);
    if (news[1].revents != 0 && !ReadSome(progress_.get(), records_)) {
      progress_.Reset();
    }
  }

  ChildProcess& child_;
  Fd progress_;
  const ChildJob& job_;
  RecordReader& records_;
  std::optional<std::chrono::steady_clock::time_point> asked_;
};

}  // namespace

Result<ChildEnd> RunChildJob(const ChildJob& job,
                             const std::function<void(const domain::Progress&)>& on_progress,
                             const std::stop_token& stop) {
  TYLLM_ASSIGN(Pipe pipe, MakePipe());
  TYLLM_ASSIGN(const Fd log, OpenLog(job.log));
  CommandLine command{.argv = job.argv};
  command.argv.insert(command.argv.end(), {"--progress-fd", std::to_string(kProgressFd)});
  command.descriptors = {{log.get(), 1}, {log.get(), 2}, {pipe.write.get(), kProgressFd}};
  const MemoryKills kills;
  TYLLM_ASSIGN(ChildProcess child, ChildProcess::Spawn(command));
  pipe.write.Reset();
  if (job.on_start) {
    job.on_start(child.pid());
  }
  RecordReader records(on_progress);
  TYLLM_ASSIGN(ChildEnd end, Watch(child, std::move(pipe.read), job, records).Run(stop));
  end.memory = kills.SinceStart();
  return end;
}

}  // namespace tyllm::agent
