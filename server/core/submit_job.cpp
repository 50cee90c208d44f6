// SPDX-License-Identifier: Apache-2.0
#include "server/core/submit_job.h"

#include "server/core/action_cache.h"
#include "server/core/explain.h"
#include "server/core/get_job.h"
#include "server/core/project_admission.h"
#include "server/core/trees.h"

namespace tyllm::server::core {

namespace {

using domain::JobSpec;
using store::JobId;

constexpr std::size_t kLongestRequestId = 64;

Status CheckRequest(const domain::SubmitRequest& request, const Limits& limits) {
  const std::size_t length = request.request_id.size();
  if (length == 0 || length > kLongestRequestId) {
    return InvalidArgument("request_id has " + std::to_string(length) +
                           " characters, expected 1 to 64; a UUID is usual");
  }
  TYLLM_TRY(domain::Check(request.spec));
  const std::size_t bytes = format::CompactJson(format::ToJson(request.spec)).size();
  if (static_cast<std::int64_t>(bytes) > limits.largest_spec_bytes) {
    return InvalidArgument("the request has " + std::to_string(bytes) +
                           " bytes, expected at most " + std::to_string(limits.largest_spec_bytes) +
                           "; shorten its labels or patterns");
  }
  return OkStatus();
}

struct Input {
  std::string field;
  BlobId tree;
  bool one_file = false;
};

std::vector<Input> InputsOf(const JobSpec& spec) {
  std::vector<Input> inputs = {{"model", spec.model}};
  const auto add = [&](const char* field, const std::optional<BlobId>& tree, bool one_file) {
    if (tree) {
      inputs.push_back({field, *tree, one_file});
    }
  };
  add("calibration", spec.calibration, true);
  add("text", spec.text, true);
  add("reference", spec.reference, false);
  add("questions", spec.questions, false);
  return inputs;
}

// Bytes of its files.
boost::asio::awaitable<Result<std::int64_t>> CheckInput(Farm& farm, Input input) {
  const Result<TreeCheck> check = co_await CheckTree(farm, input.tree);
  TYLLM_CO_TRY(check.status().Annotate(input.field));
  if (!check->missing.empty()) {
    co_return FailedPrecondition(input.field + ": the server does not have " +
                                 NameSome(check->missing) +
                                 "; upload what BlobService.FindMissing says and submit again");
  }
  const std::size_t files = check->tree.entries.size();
  if (files == 0 || (input.one_file && files != 1)) {
    co_return InvalidArgument(input.field + " is a tree of " + std::to_string(files) +
                              " files, expected " + (input.one_file ? "one" : "a model's"));
  }
  co_return BytesOf(check->tree);
}

// The job that this request made before, if it did.
Result<std::optional<JobId>> FindSame(store::Queue& queue, const domain::SubmitRequest& request) {
  TYLLM_ASSIGN(const std::optional<JobId> job, queue.FindRequest(request.request_id));
  if (!job) {
    return job;
  }
  TYLLM_ASSIGN(const domain::JobView view, queue.GetJob(*job));
  if (view.spec != request.spec) {
    return AlreadyExists("request_id '" + request.request_id + "' was used for " + job->ToString() +
                         ", another request; choose a new one");
  }
  return job;
}

Result<JobId> FindOrEnqueue(store::Queue& queue, const domain::SubmitRequest& request,
                            const TreeSizes& inputs, std::int64_t now) {
  TYLLM_ASSIGN(const std::optional<JobId> job, FindSame(queue, request));
  if (job) {
    return *job;
  }
  TYLLM_TRY(AdmitToProject(queue, request.spec, inputs));
  TYLLM_ASSIGN(
      const JobId made,
      queue.Enqueue({request.request_id, request.spec, domain::PlanJob(request.spec)}, now));
  TYLLM_TRY(NoteTrees(queue, made, inputs));
  return made;
}

}  // namespace

boost::asio::awaitable<Result<domain::JobView>> SubmitJob(Farm& farm,
                                                          domain::SubmitRequest request) {
  TYLLM_CO_TRY(CheckRequest(request, farm.parts.limits));
  // A repeated request finds its job even if its inputs are gone by now.
  TYLLM_CO_ASSIGN(
      const std::optional<JobId> same,
      co_await farm.parts.store.Run([&](store::Queue& queue) { return FindSame(queue, request); }));
  if (same) {
    co_return co_await GetJob(farm, *same);
  }
  TreeSizes inputs;
  for (const Input& input : InputsOf(request.spec)) {
    TYLLM_CO_ASSIGN(inputs[input.tree], co_await CheckInput(farm, input));
  }
  const std::int64_t now = farm.parts.clock.UnixMillis();
  TYLLM_CO_ASSIGN(const JobId job, co_await farm.parts.store.Run([&](store::Queue& queue) {
    return FindOrEnqueue(queue, request, inputs, now);
  }));
  ++farm.counters.jobs_submitted;
  // The job is accepted, whatever happens now: a sweep would do the same later.
  static_cast<void>(co_await UseCachedResults(farm));
  const Result<bool> told = co_await TellIfNobodyCan(farm, job, request.spec);
  farm.signals.Notify(Topic::Work());
  if (told.ok() && *told) {
    co_return co_await GetJob(farm, job);  // says why it will wait
  }
  co_return co_await ReadJob(farm, job);
}

}  // namespace tyllm::server::core
