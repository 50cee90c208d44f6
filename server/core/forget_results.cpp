// SPDX-License-Identifier: Apache-2.0
#include "server/core/forget_results.h"

#include <string>

#include "server/core/once.h"

namespace tyllm::server::core {

namespace {

using boost::asio::awaitable;
using domain::ForgottenResults;
using domain::ResultSelection;

/// Looked at in one transaction: who waits for a commit meanwhile waits no longer than these take.
constexpr std::int64_t kAtATime = 1000;
constexpr std::size_t kLongestName = 256;

Status CheckName(const char* field, const std::string& name) {
  return name.size() <= kLongestName
             ? OkStatus()
             : InvalidArgument(std::string(field) + " has " + std::to_string(name.size()) +
                               " bytes, expected at most " + std::to_string(kLongestName));
}

Status CheckSelection(const ResultSelection& which) {
  if (which == ResultSelection{}) {
    return InvalidArgument(
        "no result is selected; give a job, a task, a worker, a toolchain or a time (made before "
        "now: all whose maker is known)");
  }
  if (which.unknown_maker && (which.job || which.task)) {
    return InvalidArgument(
        "unknown_maker is set with a job or task, expected one of them: results of deleted jobs "
        "belong to no job");
  }
  if (which.made_from_unix_ms < 0 || which.made_before_unix_ms < 0) {
    return InvalidArgument("a time is below 0, expected milliseconds since 1970 or 0");
  }
  TYLLM_TRY(CheckName("worker", which.worker));
  return CheckName("toolchain_version", which.toolchain_version);
}

std::string TextOf(const ResultSelection& which) {
  const std::string ids = (which.job ? which.job->ToString() : "") + "\n" +
                          (which.task ? which.task->ToString() : "") + "\n";
  return ids + which.worker + "\n" + which.toolchain_version + "\n" +
         std::to_string(which.made_from_unix_ms) + "\n" +
         std::to_string(which.made_before_unix_ms) + "\n" + (which.unknown_maker ? "1" : "0");
}

// The job or task that is asked for is there.
Status CheckThere(store::Queue& queue, const ResultSelection& which) {
  TYLLM_TRY(which.job ? queue.GetJob(*which.job).status() : OkStatus());
  return which.task ? queue.GetTask(*which.task).status() : OkStatus();
}

// Counted by a reader, beside who writes.
awaitable<Result<store::ResultsLookedAt>> LookAtSome(Farm& farm, const ResultSelection& which,
                                                     std::int64_t after, bool forget) {
  const auto look = [&](store::Queue& queue) {
    return queue.LookAtResults(which, after, kAtATime, forget);
  };
  if (forget) {
    co_return co_await farm.parts.store.Run(look);
  }
  co_return co_await farm.parts.store.Look(look);
}

awaitable<Status> LookAtAll(Farm& farm, const ResultSelection& which, bool forget,
                            ForgottenResults& found) {
  std::int64_t after = 0;
  while (!farm.stopping()) {
    TYLLM_CO_ASSIGN(const store::ResultsLookedAt page,
                    co_await LookAtSome(farm, which, after, forget));
    found.results += page.fit;
    found.unknown += page.unknown;
    if (!page.last) {
      co_return OkStatus();
    }
    after = *page.last;
  }
  co_return Unavailable("the server stops; ask again for what is left");
}

}  // namespace

awaitable<Result<ForgottenResults>> ForgetResults(Farm& farm, domain::ForgetRequest request) {
  TYLLM_CO_TRY(CheckRequestId(request.request_id, false));
  TYLLM_CO_TRY(CheckSelection(request.which));
  const ResultSelection& which = request.which;
  const bool forget = !request.validate_only;
  const Asked asked = AskedOf(forget ? request.request_id : "", "ForgetResults", TextOf(which));
  TYLLM_CO_ASSIGN(const bool answered,
                  co_await farm.parts.store.Run([&](store::Queue& queue) -> Result<bool> {
                    TYLLM_ASSIGN(const bool known, WasAnswered(queue, asked));
                    TYLLM_TRY(known ? OkStatus() : CheckThere(queue, which));
                    return known;
                  }));
  ForgottenResults found;
  if (answered) {
    co_return found;
  }
  TYLLM_CO_TRY(co_await LookAtAll(farm, which, forget, found));
  const std::int64_t now = farm.parts.clock.UnixMillis();
  TYLLM_CO_TRY(co_await farm.parts.store.Run([&](store::Queue& queue) {
    return MakeOnce(queue, asked, which.job, now, [&]() -> Status {
      TYLLM_ASSIGN(found.unfinished, queue.LookAtUnfinished(which, forget));
      return OkStatus();
    });
  }));
  if (forget && found.results > 0) {
    farm.signals.Notify(Topic::Work());  // tasks that were to use them run now
  }
  if (forget && farm.parts.log != nullptr) {
    farm.parts.log->Warning("results are forgotten",
                            {{"results", std::to_string(found.results)},
                             {"unfinished", std::to_string(found.unfinished)},
                             {"worker", which.worker},
                             {"toolchain", which.toolchain_version}});
  }
  co_return found;
}

}  // namespace tyllm::server::core
