// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

#include "client/api/farm.h"

namespace tyllm::client {

/// The request id that follows from what is asked for, and from the toolchain that is to do it: of
/// the first job of a day (0), of the one that takes its place when it has come to nothing (1), and
/// so on (docs/adr/0102-a-request-names-itself.md).
std::string RequestIdOf(const domain::JobSpec& spec, std::string_view toolchain_version,
                        int number);

struct Submission {
  Farm::Submitted submitted;
  std::string request_id;
};

/// Submits the job under the first of those ids that stands for none, or for one that runs, waits
/// or has succeeded: whoever asks for the same again within a day (what the server remembers) gets
/// that one. A job that failed, was cancelled or was deleted gets a successor. `request` needs no
/// id.
Result<Submission> SubmitOnce(Farm& farm, domain::SubmitRequest request,
                              const std::stop_token& stop);

}  // namespace tyllm::client
