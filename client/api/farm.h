// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/domain/explanation.h"
#include "common/domain/job_changes.h"
#include "common/domain/project.h"
#include "common/domain/results.h"
#include "common/domain/validation.h"
#include "common/domain/views.h"
#include "common/domain/worker_sync.h"
#include "common/wire/blob_transfer.h"

namespace grpc {
class Channel;
}

namespace tyllm::client {

/// A farm's server, as typed calls. Blocking; threads: any, one call of `blobs()` at a time. Unary
/// calls are tried again, up to `patience`, while the server does not answer (UNAVAILABLE, a broken
/// stream, no answer in time) or says when to come back (RESOURCE_EXHAUSTED with RetryInfo: a full
/// disk); they are all idempotent.
class Farm {
 public:
  /// `advice`: what to look at when the server does not answer.
  Farm(std::shared_ptr<grpc::Channel> channel, std::string address, const Clock& clock,
       Milliseconds patience,
       std::string advice = "check --server or TYLLM_SERVER, and that it runs");
  ~Farm();

  const std::string& address() const { return address_; }

  struct Submitted {
    domain::JobView job;
    bool already_made = false;  ///< by the same request before; nothing was queued now
  };

  Result<Submitted> Submit(const domain::SubmitRequest& request, const std::stop_token& stop);
  /// What would become of the job; nothing is queued.
  Result<domain::Validation> Validate(const domain::JobSpec& spec, const std::stop_token& stop);
  Result<domain::JobView> Get(domain::JobId job, const std::stop_token& stop);
  Result<domain::JobPage> List(const domain::JobQuery& query, const std::stop_token& stop);
  Result<domain::JobView> Cancel(const domain::JobChange& change, const std::stop_token& stop);
  /// The new job.
  Result<domain::JobView> Retry(const domain::RetryRequest& request, const std::stop_token& stop);
  Result<domain::JobView> Update(const domain::UpdateRequest& request, const std::stop_token& stop);
  Status Delete(const domain::JobChange& change, const std::stop_token& stop);
  /// The job when it has ended or the time is over.
  Result<domain::JobView> Wait(const domain::WaitRequest& request, const std::stop_token& stop);
  Result<domain::JobExplanation> Explain(domain::JobId job, const std::stop_token& stop);
  Result<domain::TaskDetail> Task(domain::TaskId task, const std::stop_token& stop);

  Result<domain::ServerCapabilities> Capabilities(const std::string& project,
                                                  const std::stop_token& stop);
  Result<domain::ServerInfo> Info(const std::stop_token& stop);
  /// All pages.
  Result<std::vector<domain::WorkerView>> Workers(domain::WorkerQuery query,
                                                  const std::stop_token& stop);
  Result<domain::WorkerView> SetWorkerMode(const std::string& worker,
                                           const domain::ModeOrder& order,
                                           const std::string& request_id,
                                           const std::stop_token& stop);
  Status ForgetWorker(const std::string& worker, const std::string& request_id,
                      const std::stop_token& stop);
  Result<domain::ForgottenResults> ForgetResults(const domain::ForgetRequest& request,
                                                 const std::stop_token& stop);
  /// All pages.
  Result<std::vector<domain::ProjectUse>> Projects(const std::stop_token& stop);
  Result<domain::Project> SetProject(const domain::ProjectChange& change,
                                     const std::stop_token& stop);
  /// Gives every event after `after` to `on_event`, as they come, until the job has ended; a broken
  /// connection goes on after the last event. kUnavailable when the server has not answered for the
  /// patience.
  Result<domain::JobState> Watch(domain::JobId job, std::int64_t after,
                                 const std::function<void(const domain::JobEvent&)>& on_event,
                                 const std::stop_token& stop);
  /// Log bytes of an attempt (0: the last one) from an offset; `follow`: until the attempt has
  /// ended.
  Status ReadLog(domain::AttemptId attempt, std::int64_t offset, bool follow,
                 const std::function<void(std::string_view)>& sink, const std::stop_token& stop);

  wire::BlobTransfer& blobs() { return blobs_; }

 private:
  struct Stubs;
  struct Attempt;
  /// A call with one answer, tried again as Persist says.
  template <typename Method, typename Stub, typename Request, typename Response>
  Status Ask(Stub& stub, Method method, const Request& request, Response& response,
             const std::stop_token& stop);
  /// Repeats `attempt`, which gives an Attempt, while that may help, up to the patience.
  template <typename Try>
  Status Persist(const Try& attempt, const std::stop_token& stop);
  /// A stream that began then ends now: longer than a server that is not there keeps one waiting.
  bool Lived(Clock::Steady began) const;
  /// One stream of events; `after` moves on, `state` is the last that was told.
  Attempt WatchOnce(domain::JobId job, std::int64_t& after, std::optional<domain::JobState>& state,
                    const std::function<void(const domain::JobEvent&)>& on_event,
                    const std::stop_token& stop);

  std::unique_ptr<Stubs> stubs_;
  std::string address_;
  const Clock& clock_;
  Milliseconds patience_;
  std::string advice_;
  wire::BlobTransfer blobs_;
};

}  // namespace tyllm::client
