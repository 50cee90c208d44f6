// SPDX-License-Identifier: Apache-2.0
#include "server/core/retention.h"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/format/tree.h"
#include "server/core/delete_job.h"
#include "server/core/forget_worker.h"
#include "server/core/trouble_log.h"
#include "server/store/on_executor.h"

namespace tyllm::server::core {

namespace {

constexpr std::chrono::minutes kInterval{10};
constexpr std::int64_t kJobsAtATime = 100;
constexpr std::int64_t kRowsAtATime = 1000;

using Forget = Result<std::int64_t> (store::Queue::*)(std::int64_t before, std::int64_t limit);

boost::asio::awaitable<Status> DeleteOldJobs(Farm& farm) {
  const std::int64_t keep = farm.parts.limits.job_keep.count();
  const std::int64_t before = farm.parts.clock.UnixMillis() - keep;
  bool more = keep > 0;
  while (more && !farm.stopping()) {
    std::vector<domain::TaskId> tasks;
    const Status deleted = co_await farm.parts.store.Run([&](store::Queue& queue) -> Status {
      TYLLM_ASSIGN(const std::vector<domain::JobId> jobs, queue.EndedBefore(before, kJobsAtATime));
      more = static_cast<std::int64_t>(jobs.size()) == kJobsAtATime;
      tasks.clear();
      for (const domain::JobId job : jobs) {
        TYLLM_ASSIGN(const std::vector<domain::TaskId> gone, queue.DeleteJob(job));
        tasks.insert(tasks.end(), gone.begin(), gone.end());
      }
      return OkStatus();
    });
    TYLLM_CO_TRY(deleted);
    co_await RemoveLogs(farm, std::move(tasks));
  }
  co_return OkStatus();
}

// A piece after the other, each a transaction: calls are answered in between.
boost::asio::awaitable<Status> ForgetInPieces(Farm& farm, Forget forget, std::int64_t before) {
  bool more = true;
  while (more && !farm.stopping()) {
    const Status forgot = co_await farm.parts.store.Run([&](store::Queue& queue) -> Status {
      TYLLM_ASSIGN(const std::int64_t gone, (queue.*forget)(before, kRowsAtATime));
      more = gone == kRowsAtATime;
      return OkStatus();
    });
    TYLLM_CO_TRY(forgot);
  }
  co_return OkStatus();
}

boost::asio::awaitable<Status> ForgetOldRows(Farm& farm) {
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Limits& limits = farm.parts.limits;
  TYLLM_CO_TRY(co_await ForgetInPieces(farm, &store::Queue::ForgetRequests,
                                       now - limits.request_keep.count()));
  if (limits.result_keep.count() > 0) {
    TYLLM_CO_TRY(co_await ForgetInPieces(farm, &store::Queue::ForgetActions,
                                         now - limits.result_keep.count()));
  }
  co_return OkStatus();
}

std::vector<BlobId> FilesOf(const format::Tree& tree) {
  std::vector<BlobId> files;
  for (const format::TreeEntry& entry : tree.entries) {
    files.push_back(entry.blob);
  }
  return files;
}

// The files of a tree in use whose text is not there. One that rotted was set aside: what it still
// names counts if all of that is there, so that the rot is not in the names.
Result<std::vector<BlobId>> FilesOfLost(blobs::BlobStore& blobs, const BlobId& tree,
                                        std::uint64_t limit) {
  const Result<std::string> text = blobs.ReadSetAside(tree, limit);
  const Result<format::Tree> parsed =
      text.ok() ? format::ParseTree(*text) : Result<format::Tree>(text.status());
  if (parsed.ok()) {
    const std::vector<BlobId> files = FilesOf(*parsed);
    TYLLM_ASSIGN(const std::vector<BlobId> missing, blobs.FindMissing(files));
    if (missing.empty()) {
      return files;
    }
  }
  return DataLoss(
      "tree " + tree.ToString() +
      " is in use, but its text is not there, so nobody knows which files are its; no "
      "blobs are removed until it is uploaded again or the jobs that use it are deleted");
}

// The trees and all their files, sorted.
Result<std::vector<BlobId>> BlobsOf(blobs::BlobStore& blobs, const std::vector<BlobId>& trees,
                                    std::uint64_t limit) {
  std::vector<BlobId> used = trees;
  for (const BlobId& tree : trees) {
    const Result<std::string> text = blobs.ReadSmall(tree, limit);
    if (text.status().code() == StatusCode::kNotFound) {
      TYLLM_ASSIGN(const std::vector<BlobId> files, FilesOfLost(blobs, tree, limit));
      used.insert(used.end(), files.begin(), files.end());
      continue;
    }
    // A tree that cannot be read might name anything: nothing is removed then.
    TYLLM_TRY(text.status());
    const Result<format::Tree> parsed = format::ParseTree(*text);
    TYLLM_TRY(parsed.status().Annotate("tree " + tree.ToString() + " is in use"));
    const std::vector<BlobId> files = FilesOf(*parsed);
    used.insert(used.end(), files.begin(), files.end());
  }
  std::sort(used.begin(), used.end());
  used.erase(std::unique(used.begin(), used.end()), used.end());
  return used;
}

}  // namespace

boost::asio::awaitable<Result<blobs::BlobStore::Removed>> CollectBlobs(Farm& farm) {
  if (farm.parts.limits.blob_keep.count() <= 0) {
    co_return blobs::BlobStore::Removed{};
  }
  // What is used from here on has a newer time: the blobs of a job that is submitted meanwhile
  // were looked at (CheckTree), those of a result were uploaded or asked for.
  const std::int64_t before = farm.parts.clock.UnixMillis() - farm.parts.limits.blob_keep.count();
  TYLLM_CO_ASSIGN(
      const std::vector<BlobId> trees,
      co_await farm.parts.store.Look([](store::Queue& queue) { return queue.TreesInUse(); }));
  const std::uint64_t limit = farm.parts.limits.largest_tree_bytes;
  farm.whole_trees.Clear();
  co_return co_await store::OnExecutor(
      farm.parts.blocking, [&]() -> Result<blobs::BlobStore::Removed> {
        TYLLM_ASSIGN(const std::vector<BlobId> used, BlobsOf(farm.parts.blobs, trees, limit));
        return farm.parts.blobs.RemoveUnused(used, before);
      });
}

boost::asio::awaitable<Status> RemoveWhatIsOld(Farm& farm) {
  // One that fails keeps no other from being done.
  const Status forgot = co_await ForgetOldRows(farm);
  const Status deleted = co_await DeleteOldJobs(farm);
  const Status workers = co_await ForgetOldWorkers(farm);
  const auto removed = co_await CollectBlobs(farm);
  TYLLM_CO_TRY(forgot);
  TYLLM_CO_TRY(deleted);
  TYLLM_CO_TRY(workers);
  co_return removed.status();
}

boost::asio::awaitable<void> RemoveOldForever(Farm& farm) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  TroubleLog trouble(farm.parts.log, "removing what is old");
  while (true) {
    timer.expires_after(kInterval);
    const auto [error] =
        co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    if (error) {
      co_return;
    }
    trouble.Note(co_await RemoveWhatIsOld(farm));  // what failed is tried again
  }
}

}  // namespace tyllm::server::core
