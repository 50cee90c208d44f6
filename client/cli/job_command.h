// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "client/cli/session.h"
#include "common/cli/command.h"

namespace tyllm::client {

/// What a command about one job is given.
struct JobTarget {
  Farm& farm;
  const Session& session;
  domain::JobId job;
  bool json = false;
};

using JobAction = std::function<cli::ExitCode(const JobTarget& target)>;

/// Gives the command the options JOB and --json, and a run function that connects. Add further
/// options after it.
void DeclareForJob(cli::CommandSpec& spec, Session& session, JobAction action);

/// The job on standard output, or the error.
cli::ExitCode PrintJob(const Result<domain::JobView>& view, bool json);

/// New for every run of the program.
std::string NewRequestId();

}  // namespace tyllm::client
