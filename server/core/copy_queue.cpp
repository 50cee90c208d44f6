// SPDX-License-Identifier: Apache-2.0
#include "server/core/copy_queue.h"

#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/list_folder.h"
#include "server/store/on_executor.h"

namespace tyllm::server::core {

namespace {

/// Of a copy, until whoever asked for it has moved it away.
constexpr std::chrono::minutes kKept(10);
constexpr std::string_view kBegins = "queue-";
constexpr std::string_view kEnds = ".db";

bool IsCopy(std::string_view name) {
  const std::size_t end = name.find(kEnds);
  if (!name.starts_with(kBegins) || end == std::string_view::npos || end == kBegins.size()) {
    return false;
  }
  const std::string_view number = name.substr(kBegins.size(), end - kBegins.size());
  return number.find_first_not_of("0123456789") == std::string_view::npos;
}

Status Prepare(const Path& folder) {
  return LocalFileSystem().CreateDirectories(folder);
}

// Nobody has written to it for so long, or it says that it was written later than now.
bool IsOlder(const Path& path, std::chrono::seconds age) {
  std::error_code error;
  const auto written = std::filesystem::last_write_time(path, error);
  const auto now = std::filesystem::file_time_type::clock::now();
  return !error && (now - written >= age || written - now > age);
}

/// Brings what was copied so far to the disk, so that the last step, which waits for that while
/// nothing else is written, finds little to do. It keeps its file open: closing it would give up
/// the locks that SQLite has on it in this process.
class Syncer {
 public:
  explicit Syncer(Path copy) : copy_(std::move(copy)) {}

  Status Sync() {
    if (!file_) {
      TYLLM_ASSIGN(file_, LocalFileSystem().OpenForUpdate(copy_));
    }
    return file_->Sync();
  }

 private:
  const Path copy_;
  std::unique_ptr<OutputFile> file_;
};

}  // namespace

Status RemoveOldCopies(const Path& folder, std::chrono::seconds age) {
  const Result<std::vector<Path>> found = ListFolder(folder);
  if (found.status().code() == StatusCode::kNotFound) {
    return OkStatus();  // none was ever made
  }
  TYLLM_TRY(found.status());
  for (const Path& path : *found) {
    if (IsCopy(path.filename().string()) && IsOlder(path, age)) {
      TYLLM_TRY(LocalFileSystem().RemoveAll(path));
    }
  }
  return OkStatus();
}

boost::asio::awaitable<Result<QueueCopy>> CopyQueue(Farm& farm, CopyPace pace) {
  QueueCopy copy;
  if (farm.parts.copies.empty()) {
    co_return Unimplemented("this server has no folder for copies");
  }
  const boost::asio::any_io_executor& disk = farm.parts.blocking;
  const Path& folder = farm.parts.copies;
  TYLLM_CO_TRY(co_await store::OnExecutor(disk, [&] { return Prepare(folder); }));
  const std::string name = "queue-" + std::to_string(farm.parts.clock.UnixMillis()) + ".db";
  copy.path = folder / name;
  const Status begun = co_await farm.parts.store.RunAlone(
      [&](store::Queue& queue) { return queue.BeginCopy(copy.path); });
  TYLLM_CO_TRY(begun);
  // What stays behind is removed by the next.
  static_cast<void>(
      co_await store::OnExecutor(disk, [&] { return RemoveOldCopies(folder, kKept); }));
  Syncer syncer(copy.path);
  bool done = false;
  for (int steps = 1; !done; ++steps) {
    if (farm.stopping()) {
      co_return Unavailable("the server is stopping, and its queue was not copied; try again");
    }
    if (steps % pace.steps == 0) {
      // The last step syncs all, and says when that fails.
      static_cast<void>(co_await store::OnExecutor(disk, [&] { return syncer.Sync(); }));
    }
    const Result<bool> step = co_await farm.parts.store.RunAlone(
        [&](store::Queue& queue) { return queue.CopySome(pace.pages); });
    TYLLM_CO_TRY(step.status());
    done = *step;
  }
  TYLLM_CO_ASSIGN(copy.schema_version, co_await farm.parts.store.RunAlone([](store::Queue& queue) {
    return Result<std::int64_t>(queue.schema_version());
  }));
  copy.unix_ms = farm.parts.clock.UnixMillis();
  co_return copy;
}

}  // namespace tyllm::server::core
