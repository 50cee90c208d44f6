// SPDX-License-Identifier: Apache-2.0
#include "server/store/pending.h"

#include <algorithm>

#include "server/store/lanes.h"
#include "server/store/tasks.h"

namespace tyllm::server::store {

namespace {

using domain::TaskState;

// Along one index each: the table has all that ever ended.
#define TYLLM_CORRECT \
  "UPDATE tasks SET not_before_ms = ?1 + max(0, not_before_ms - queued_ms), queued_ms = ?1 "
constexpr Sql kCorrectFirsts{TYLLM_CORRECT "WHERE state = 1 AND waits = 0 AND queued_ms > ?1"};
constexpr Sql kCorrectJoined{TYLLM_CORRECT "WHERE state = 1 AND waits = 1 AND queued_ms > ?1"};
#undef TYLLM_CORRECT

Result<std::vector<std::string>> WaitsFor(const std::vector<tasks::Row>& rows,
                                          const tasks::Row& row) {
  std::vector<std::string> labels;
  TYLLM_ASSIGN(const std::vector<domain::TaskInput> inputs, tasks::InputsOf(row));
  for (const domain::TaskInput& input : inputs) {
    const auto source = std::find_if(rows.begin(), rows.end(), [&](const tasks::Row& one) {
      return !input.from.empty() && one.label == input.from;
    });
    if (source != rows.end() && source->state != TaskState::kSucceeded) {
      labels.push_back(source->label);
    }
  }
  return labels;
}

}  // namespace

Result<std::vector<PendingRecord>> PendingOf(Database& db, JobId job) {
  TYLLM_ASSIGN(const std::vector<tasks::Row> rows, tasks::OfJob(db, job));
  std::vector<PendingRecord> pending;
  for (const tasks::Row& row : rows) {
    if (row.state != TaskState::kWaiting && row.state != TaskState::kQueued) {
      continue;
    }
    PendingRecord record{.id = row.id, .state = row.state, .lane = row.lane};
    TYLLM_ASSIGN(record.lane_key, lanes::Get(db, row.lane));
    TYLLM_ASSIGN(record.waits_for, WaitsFor(rows, row));
    if (row.state == TaskState::kQueued) {
      TYLLM_ASSIGN(record.joined, tasks::FindRunning(db, row));
    }
    record.not_before_ms = row.not_before_ms;
    pending.push_back(std::move(record));
  }
  return pending;
}

Status CorrectQueuedTimes(Database& db, std::int64_t now) {
  TYLLM_TRY(db.Change(kCorrectFirsts, now).status());
  return db.Change(kCorrectJoined, now).status();
}

}  // namespace tyllm::server::store
