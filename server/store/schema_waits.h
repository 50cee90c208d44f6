// SPDX-License-Identifier: Apache-2.0
#pragma once

// Step from schema 9 to 10: of queued tasks of one action and lane the first is looked at
// (docs/adr/0152-of-one-action-the-first-is-looked-at.md). No table is written anew.
namespace tyllm::server::store::schema {

inline constexpr const char* kWaits = R"sql(
ALTER TABLE tasks ADD COLUMN waits INTEGER NOT NULL DEFAULT 0
  CHECK(waits = 0 OR (waits = 1 AND state = 1 AND use_cache = 1 AND has_result = 0));
UPDATE tasks SET waits = 1, has_result = 0 WHERE id IN
  (SELECT id FROM
    (SELECT id, action_key, has_result, row_number() OVER
       (PARTITION BY action_key, lane ORDER BY job, position) AS place
     FROM tasks WHERE state = 1 AND use_cache = 1) AS t
   WHERE place > 1 OR (has_result = 0 AND EXISTS
     (SELECT 1 FROM tasks AS h WHERE h.state IN (2, 3) AND h.action_key = t.action_key)));
DROP INDEX tasks_queued;
CREATE INDEX tasks_queued ON tasks(lane, job, position) WHERE state = 1 AND waits = 0;
CREATE INDEX tasks_joined ON tasks(action_key, lane, job, position) WHERE state = 1 AND waits = 1;
)sql";

}  // namespace tyllm::server::store::schema
