// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <memory>

#include "client/cli/commands.h"
#include "client/cli/job_command.h"

namespace tyllm::client {

namespace {

struct Arguments {
  std::optional<std::int64_t> priority;
  std::vector<std::string> labels;
  std::vector<std::string> removed;
  std::string etag;
};

Result<domain::UpdateRequest> RequestOf(domain::JobId job, const Arguments& arguments) {
  domain::UpdateRequest request;
  request.change = {job, NewRequestId(), arguments.etag};
  if (arguments.priority) {
    if (*arguments.priority < std::numeric_limits<std::int32_t>::min() ||
        *arguments.priority > std::numeric_limits<std::int32_t>::max()) {
      return InvalidArgument("--priority is " + std::to_string(*arguments.priority) +
                             ", expected -1000 to 1000");
    }
    request.priority = static_cast<std::int32_t>(*arguments.priority);
  }
  for (const std::string& label : arguments.labels) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument("--label is '" + label + "', expected NAME=VALUE");
    }
    request.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  for (const std::string& name : arguments.removed) {
    request.labels[name] = std::nullopt;
  }
  if (!request.priority && request.labels.empty()) {
    return InvalidArgument("nothing is to change; give --priority, --label or --remove-label");
  }
  return request;
}

cli::ExitCode Run(const JobTarget& target, const Arguments& arguments) {
  const auto request = RequestOf(target.job, arguments);
  return request.ok() ? PrintJob(target.farm.Update(*request, target.session.stop()), target.json)
                      : cli::ReportError(request.status(), target.json);
}

}  // namespace

void DeclareUpdate(cli::CommandSpec& spec, Session& session) {
  auto arguments = std::make_shared<Arguments>();
  spec.description = "The order of the queue follows a changed priority at once.";
  DeclareForJob(spec, session,
                [arguments](const JobTarget& target) { return Run(target, *arguments); });
  spec.options.push_back(
      {"--priority", "N", "within the project, larger first; -1000 to 1000", &arguments->priority});
  spec.options.push_back({"--label", "NAME=VALUE", "set a label; repeatable", &arguments->labels});
  spec.options.push_back(
      {"--remove-label", "NAME", "remove a label; repeatable", &arguments->removed});
  spec.options.push_back(
      {"--etag", "ETAG", "only if the job is still as it was read", &arguments->etag});
}

}  // namespace tyllm::client
