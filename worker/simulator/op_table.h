// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "worker/plan/schedule.h"
#include "worker/simulator/bench.h"

namespace tyllm::simulator {

/// One call of a program, and what the executor logged of it.
struct LoggedCall {
  std::vector<const plan::Schedule*> schedules;  ///< [dies]
  std::int64_t tokens = 0;
  std::int64_t history = 0;
  TaskLog log;  ///< of this call alone
};

/// Gives each call its spans of `log`: those whose number is the call's index.
void ShareOut(const TaskLog& log, std::vector<LoggedCall>& calls);

/// Bytes of weights and KV cache that one call reads, all dies together.
double BytesOfCall(std::span<const plan::Schedule* const> schedules, std::int64_t tokens,
                   std::int64_t history);

/// What the calls did, phase by phase, over all layers and calls. Rates are left for the caller.
std::vector<BenchOp> OpsOf(std::span<const LoggedCall> calls);

/// The calls as a document for chrome://tracing or Perfetto: a row a worker.
std::string ChromeTrace(std::span<const LoggedCall> calls);

}  // namespace tyllm::simulator
