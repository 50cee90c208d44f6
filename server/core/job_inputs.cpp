// SPDX-License-Identifier: Apache-2.0
#include "server/core/job_inputs.h"

#include <algorithm>

#include "common/domain/tools.h"

namespace tyllm::server::core {

namespace {

using domain::Problem;

/// As many as an answer has room for.
constexpr std::size_t kMissingNamed = 16;

/// As kJobInputs names them.
constexpr std::string_view kVideos = "videos";

struct Input {
  std::string field;
  BlobId tree;
  bool one_file = false;
};

std::vector<Input> InputsOf(const domain::JobSpec& spec) {
  std::vector<Input> inputs = {{"model", spec.model}};
  for (domain::GivenInput& given : domain::GivenInputs(spec)) {
    inputs.push_back({std::string(given.row->name), given.tree, given.row->one_file});
  }
  return inputs;
}

bool HasRightCount(const Input& input, std::size_t files) {
  return files == 1 || (files > 1 && !input.one_file);
}

bool IsVideoFile(const Input& input, std::size_t files) {
  return input.field == kVideos && files == 1;
}

Problem Missing(const Input& input, const std::vector<BlobId>& missing) {
  Problem problem{.reason = std::string(domain::kMissingBlobsReason),
                  .field = "spec." + input.field,
                  .message = input.field + ": the server does not have " + NameSome(missing) +
                             "; upload what BlobService.FindMissing says and submit again",
                  .missing = missing};
  problem.missing.resize(std::min(missing.size(), kMissingNamed));
  return problem;
}

}  // namespace

Problem WrongField(const Status& status) {
  const std::string field = domain::FieldOf(status.message());
  return {.reason = std::string(domain::kInvalidArgumentReason),
          .field = field.empty() || field == "request_id" ? field : "spec." + field,
          .message = status.message(),
          .missing = {}};
}

boost::asio::awaitable<Result<JobInputs>> CheckInputs(Farm& farm, domain::JobSpec spec) {
  JobInputs found;
  for (const Input& input : InputsOf(spec)) {
    const Clock::Steady now = farm.parts.clock.Now();
    const std::optional<WholeTrees::Size> known = farm.whole_trees.Find(input.tree, now);
    if (known && HasRightCount(input, known->files)) {
      found.has_video_file = found.has_video_file || IsVideoFile(input, known->files);
      found.sizes[input.tree] = known->bytes;
      continue;
    }
    const Result<TreeCheck> check = co_await CheckTree(farm, input.tree);
    if (check.status().code() == StatusCode::kInvalidArgument) {
      found.problems.push_back(WrongField(check.status().Annotate(input.field)));
      continue;
    }
    TYLLM_CO_TRY(check.status().Annotate(input.field));
    const std::size_t files = check->tree.entries.size();
    if (!check->missing.empty()) {
      found.problems.push_back(Missing(input, check->missing));
    } else if (!HasRightCount(input, files)) {
      found.problems.push_back(WrongField(
          InvalidArgument(input.field + " is a tree of " + std::to_string(files) +
                          " files, expected " + (input.one_file ? "one" : "one or more"))));
    } else {
      const std::int64_t bytes = BytesOf(check->tree);
      farm.whole_trees.Note(input.tree, {.bytes = bytes, .files = files}, now);
      found.sizes[input.tree] = bytes;
      found.has_video_file = found.has_video_file || IsVideoFile(input, files);
    }
  }
  co_return found;
}

void NeedTools(const JobInputs& inputs, domain::JobPlan& plan) {
  for (domain::PlannedTask& task : plan.tasks) {
    if (inputs.has_video_file && task.spec.kind == domain::TaskKind::kEvaluate) {
      task.tools = {std::string(domain::kVideoTool)};
    }
  }
}

Status StatusOf(const std::vector<Problem>& problems) {
  for (const Problem& problem : problems) {
    if (problem.reason == domain::kInvalidArgumentReason) {
      return InvalidArgument(problem.message);
    }
    if (problem.reason == domain::kMissingBlobsReason) {
      return FailedPrecondition(problem.message);
    }
    if (problem.reason == domain::kQuotaExceededReason) {
      return ResourceExhausted(problem.message);
    }
    if (problem.reason == domain::kNoWorkerReason) {
      return FailedPrecondition(problem.message);
    }
  }
  return OkStatus();
}

}  // namespace tyllm::server::core
