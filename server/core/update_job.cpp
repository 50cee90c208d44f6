// SPDX-License-Identifier: Apache-2.0
#include "server/core/update_job.h"

#include "common/format/json.h"
#include "server/core/change_log.h"
#include "server/core/get_job.h"
#include "server/core/once.h"

namespace tyllm::server::core {

namespace {

std::string TextOf(const domain::UpdateRequest& request) {
  std::string text = request.change.job.ToString() + " " +
                     (request.priority ? std::to_string(*request.priority) : "-") +
                     (request.replaces_labels ? " replace" : "");
  return text + format::CompactJson(format::ToJson(request.labels));
}

// What is different then, in words; empty: nothing.
Result<std::string> Change(store::Queue& queue, const domain::UpdateRequest& request,
                           std::int64_t now) {
  const domain::JobId id = request.change.job;
  TYLLM_TRY(CheckEtag(queue, request.change));
  TYLLM_ASSIGN(const domain::JobView job, queue.GetJob(id));
  std::string told;
  if (request.priority && *request.priority != job.priority) {
    TYLLM_TRY(queue.SetPriority(id, *request.priority));
    told = "the priority is " + std::to_string(*request.priority) + " now";
  }
  if (request.replaces_labels || !request.labels.empty()) {
    const auto labels = domain::LabelsAfter(request, job.labels);
    TYLLM_TRY(domain::CheckLabels(labels));
    TYLLM_TRY(queue.SetLabels(id, labels));
    if (labels != job.labels) {
      told += told.empty() ? "the labels are others now" : ", and the labels are others";
    }
  }
  if (!told.empty() && !IsFinal(job.state)) {
    TYLLM_TRY(queue.NoteChange(id, told, request.change.by, now));
  }
  return told;
}

}  // namespace

boost::asio::awaitable<Result<domain::JobView>> UpdateJob(Farm& farm,
                                                          domain::UpdateRequest request) {
  TYLLM_CO_TRY(CheckRequestId(request.change.request_id, false));
  if (request.priority) {
    TYLLM_CO_TRY(domain::CheckPriority(*request.priority));
  }
  const std::int64_t now = farm.parts.clock.UnixMillis();
  const Asked asked = AskedOf(request.change.request_id, "UpdateJob", TextOf(request));
  std::string told;
  const Status done = co_await farm.parts.store.Run([&](store::Queue& queue) {
    told.clear();
    return MakeOnce(queue, asked, request.change.job, now, [&]() -> Status {
      TYLLM_ASSIGN(told, Change(queue, request, now));
      return OkStatus();
    });
  });
  TYLLM_CO_TRY(done);
  if (!told.empty()) {
    LogChange(farm, "job changed: " + told, {"job", request.change.job.ToString()},
              request.change.by);
    farm.signals.Notify(Topic::Of(request.change.job));
  }
  farm.signals.Notify(Topic::Work());  // another may be next now
  co_return co_await GetJob(farm, request.change.job);
}

}  // namespace tyllm::server::core
