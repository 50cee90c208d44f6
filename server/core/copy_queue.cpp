// SPDX-License-Identifier: Apache-2.0
#include "server/core/copy_queue.h"

#include <string>
#include <string_view>
#include <vector>

#include "common/base/list_folder.h"
#include "server/store/on_executor.h"

namespace tyllm::server::core {

namespace {

/// 1 MiB at a time: a commit waits no longer than this takes.
constexpr int kPagesAtATime = 256;
constexpr int kStepsToSync = 64;  ///< 64 MiB of pages of 4 KiB
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

// So that the last step, which waits for the disk while nothing else is written, finds little to
// do.
Status SyncCopied(const Path& copy) {
  TYLLM_ASSIGN(const auto file, LocalFileSystem().OpenForUpdate(copy));
  TYLLM_TRY(file->Sync());
  return file->Close();
}

}  // namespace

Status RemoveOldCopies(const Path& folder, const Path& kept) {
  const Result<std::vector<Path>> found = ListFolder(folder);
  if (found.status().code() == StatusCode::kNotFound) {
    return OkStatus();  // none was ever made
  }
  TYLLM_TRY(found.status());
  const std::string now = kept.filename().string();
  for (const Path& path : *found) {
    const std::string name = path.filename().string();
    if (IsCopy(name) && (now.empty() || !name.starts_with(now))) {
      TYLLM_TRY(LocalFileSystem().RemoveAll(path));
    }
  }
  return OkStatus();
}

boost::asio::awaitable<Result<QueueCopy>> CopyQueue(Farm& farm) {
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
  // Not before: one that is being made would be among them.
  // What stays behind is removed by the next.
  static_cast<void>(
      co_await store::OnExecutor(disk, [&] { return RemoveOldCopies(folder, copy.path); }));
  bool done = false;
  for (int steps = 1; !done; ++steps) {
    if (steps % kStepsToSync == 0) {
      // The last step syncs all, and says when that fails.
      static_cast<void>(co_await store::OnExecutor(disk, [&] { return SyncCopied(copy.path); }));
    }
    const Result<bool> step = co_await farm.parts.store.RunAlone(
        [](store::Queue& queue) { return queue.CopySome(kPagesAtATime); });
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
