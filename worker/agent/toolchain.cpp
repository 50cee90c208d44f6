// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/toolchain.h"

#include "common/base/child_process.h"

namespace tyllm::agent {

namespace {

constexpr std::chrono::seconds kLimit{120};  // GPUs that were asleep and the vendor take some

}  // namespace

Result<domain::ToolchainFacts> AskToolchain(const Path& program) {
  const std::string what = program.string() + " devices --json";
  TYLLM_ASSIGN(const CommandOutcome outcome,
               RunCommand({.argv = {program.string(), "devices", "--json"}}, kLimit));
  if (!outcome.exit.ok()) {
    return FailedPrecondition(what + " ended with " + outcome.exit.ToString() + ": " +
                              outcome.output.substr(0, 300));
  }
  TYLLM_ASSIGN(const format::Json json, format::ParseJson(outcome.output, what));
  return format::FromJson<domain::ToolchainFacts>(json, what, format::UnknownKeys::kIgnore);
}

}  // namespace tyllm::agent
