// SPDX-License-Identifier: Apache-2.0
#include "server/store/database_check.h"

#include <array>
#include <span>

#include "server/store/projects.h"
#include "server/store/schema.h"

namespace tyllm::server::store {

namespace {

constexpr std::size_t kMostNamed = 10;

/// Rows of `sql` name what breaks the rule.
struct Invariant {
  const char* rule;
  Sql sql;
};

constexpr std::array kInvariants = {
    Invariant{
        "an attempt that runs is its task's current one, and the task is held",
        {"SELECT 't' || a.task || ' attempt ' || a.attempt FROM attempts AS a JOIN tasks AS t "
         "ON t.id = a.task WHERE a.ended_ms IS NULL AND "
         "(t.state NOT IN (2, 3) OR t.attempt <> a.attempt)"}},
    Invariant{"a task that is held has a running attempt",
              {"SELECT 't' || id FROM tasks AS t WHERE state IN (2, 3) AND NOT EXISTS(SELECT 1 "
               "FROM attempts WHERE task = t.id AND attempt = t.attempt AND ended_ms IS NULL)"}},
    Invariant{"a job has ended exactly when all its tasks have",
              {"SELECT 'j' || j.id FROM jobs AS j WHERE (j.ended_ms IS NULL) <> EXISTS(SELECT 1 "
               "FROM tasks WHERE job = j.id AND ended_ms IS NULL)"}},
    Invariant{"a job that succeeded has only tasks that did",
              {"SELECT 'j' || j.id FROM jobs AS j WHERE j.state = 3 AND EXISTS(SELECT 1 FROM tasks "
               "WHERE job = j.id AND state <> 4)"}},
    Invariant{"events are numbered without gaps up to the job's last",
              {"SELECT 'j' || j.id FROM jobs AS j WHERE j.last_event <> (SELECT count(*) FROM "
               "job_events WHERE job = j.id) OR j.last_event <> (SELECT coalesce(max(number), 0) "
               "FROM job_events WHERE job = j.id)"}},
    Invariant{"a job's last event shows its state",
              {"SELECT 'j' || j.id FROM jobs AS j JOIN job_events AS e ON e.job = j.id AND "
               "e.number = j.last_event WHERE e.job_state <> j.state"}},
    Invariant{"a task that has not ended has a lane",
              {"SELECT 't' || id FROM tasks WHERE ended_ms IS NULL AND lane IS NULL"}},
    Invariant{"a queued task knows whether its result is there",
              {"SELECT 't' || id FROM tasks WHERE state = 1 AND use_cache = 1 AND waits = 0 AND "
               "has_result <> (action_key IN (SELECT key FROM actions))"}},
    Invariant{"of queued tasks of an action and lane the first waits for no other, unless the "
              "action is run",
              {"SELECT 't' || id FROM (SELECT id, waits, action_key, row_number() OVER (PARTITION "
               "BY action_key, lane ORDER BY job, position) AS place FROM tasks WHERE state = 1 "
               "AND use_cache = 1) WHERE waits <> (place > 1 OR (action_key NOT IN (SELECT key "
               "FROM actions) AND action_key IN (SELECT action_key FROM tasks WHERE state IN (2, "
               "3))))"}},
    Invariant{"an action has one result",
              {"SELECT hex(key) FROM actions GROUP BY key HAVING count(*) > 1"}},
    Invariant{"a request id was used once",
              {"SELECT 'request ' || request_id FROM requests GROUP BY request_id HAVING count(*) "
               "> 1"}},
    Invariant{
        "a job that may still be given up has not begun",
        {"SELECT 'j' || j.id FROM jobs AS j WHERE j.start_by_ms IS NOT NULL AND EXISTS(SELECT "
         "1 FROM tasks WHERE job = j.id AND kept = 0 AND (attempt > 0 OR state NOT IN (0, "
         "1)))"}},
    Invariant{"a job that was given up had not begun",
              {"SELECT 'j' || j.id FROM jobs AS j WHERE j.state = 4 AND json_extract(j.failure, "
               "'$.reason') = 'NOT_STARTED' AND EXISTS(SELECT 1 FROM tasks AS t JOIN attempts AS a "
               "ON a.task = t.id WHERE t.job = j.id)"}},
    Invariant{"a project's count of jobs that have not ended is right",
              {"SELECT p.name FROM projects AS p WHERE p.live_jobs <> (SELECT count(*) FROM jobs "
               "WHERE project = p.name AND ended_ms IS NULL)"}},
    Invariant{"a project's stored bytes are those of its trees",
              {"SELECT p.name FROM projects AS p WHERE p.stored_bytes <> (SELECT "
               "coalesce(sum(bytes), 0) FROM project_trees WHERE project = p.name)"}},
    Invariant{"a tree of a project is one of its jobs'",
              {"SELECT t.project || ' ' || t.tree FROM project_trees AS t WHERE t.jobs <> (SELECT "
               "count(*) FROM job_trees WHERE tree = t.id)"}},
    Invariant{"a tree of a job is one of its project's",
              {"SELECT 'j' || j.id FROM job_trees AS t JOIN jobs AS j ON j.id = t.job JOIN "
               "project_trees AS p ON p.id = t.tree WHERE p.project <> j.project"}},
    Invariant{"a label is one task's of its job",
              {"SELECT 'j' || job FROM tasks GROUP BY job, label HAVING count(*) > 1"}},
    Invariant{"a job has what it was asked to do",
              {"SELECT 'j' || id FROM jobs WHERE id NOT IN (SELECT job FROM job_texts)"}},
    Invariant{
        "an output is a tree of its job",
        {"SELECT 't' || t.id FROM tasks AS t WHERE t.output IS NOT NULL AND NOT EXISTS(SELECT "
         "1 FROM job_trees AS u JOIN project_trees AS p ON p.id = u.tree WHERE u.job = t.job AND "
         "p.tree = t.output)"}},
};

/// Each goes through an index of the few rows that it is about, however many others there are.
constexpr std::array kLiveInvariants = {
    Invariant{"a task that is held has a running attempt",
              {"SELECT 't' || id FROM tasks AS t WHERE state IN (2, 3) AND NOT EXISTS(SELECT 1 "
               "FROM attempts WHERE task = t.id AND attempt = t.attempt AND ended_ms IS NULL)"}},
    Invariant{"no other attempt of a task that is held runs",
              {"SELECT 't' || id FROM tasks AS t WHERE state IN (2, 3) AND EXISTS(SELECT 1 FROM "
               "attempts WHERE task = t.id AND attempt <> t.attempt AND ended_ms IS NULL)"}},
    Invariant{"a task that is held belongs to a job that has not ended",
              {"SELECT 't' || id FROM tasks AS t WHERE state IN (2, 3) AND NOT EXISTS(SELECT 1 "
               "FROM jobs WHERE id = t.job AND ended_ms IS NULL)"}},
    Invariant{"the result that a queued task is to use is there",
              {"SELECT 't' || id FROM tasks WHERE state = 1 AND has_result = 1 AND action_key NOT "
               "IN (SELECT key FROM actions)"}},
};

constexpr Sql kIntegrity{"PRAGMA integrity_check(20)"};
constexpr Sql kForeignKeys{"PRAGMA foreign_key_check"};
constexpr Sql kSkipIds{"UPDATE sqlite_sequence SET seq = seq + 1000000"};

Result<std::vector<std::string>> FirstColumn(Database& database, const Sql& sql,
                                             std::size_t limit) {
  std::vector<std::string> found;
  TYLLM_ASSIGN(Rows rows, database.Query(sql));
  while (found.size() < limit) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      break;
    }
    found.push_back(rows.Text(0));
  }
  return found;
}

Status CheckRules(Database& database, std::span<const Invariant> rules,
                  std::vector<std::string>& problems) {
  for (const Invariant& invariant : rules) {
    TYLLM_ASSIGN(const auto broken, FirstColumn(database, invariant.sql, kMostNamed));
    for (const std::string& what : broken) {
      problems.push_back(what + ": " + invariant.rule);
    }
  }
  return OkStatus();
}

Status CheckWithSqlite(Database& database, std::vector<std::string>& problems) {
  TYLLM_ASSIGN(const auto integrity, FirstColumn(database, kIntegrity, 20));
  for (const std::string& line : integrity) {
    if (line != "ok") {
      problems.push_back("SQLite: " + line);
    }
  }
  TYLLM_ASSIGN(const auto orphans, FirstColumn(database, kForeignKeys, kMostNamed));
  for (const std::string& table : orphans) {
    problems.push_back("a row of the table " + table + " refers to one that is not there");
  }
  return OkStatus();
}

}  // namespace

Result<std::vector<std::string>> CheckDatabase(const Path& file) {
  TYLLM_ASSIGN(const std::unique_ptr<Database> database, Database::Open(file.string(), {}));
  TYLLM_ASSIGN(const std::int64_t schema, SchemaOf(*database));
  if (schema != SchemaVersion()) {
    return FailedPrecondition(file.string() + " has schema " + std::to_string(schema) +
                              ", this program checks schema " + std::to_string(SchemaVersion()) +
                              (schema < SchemaVersion() ? "; run: tyllm-server migrate"
                                                        : "; use the newer tyllm-server"));
  }
  std::vector<std::string> problems;
  // What one has found is told also where the damage ends the other.
  for (const Status& end :
       {CheckWithSqlite(*database, problems), CheckRules(*database, kInvariants, problems)}) {
    if (!end.ok()) {
      problems.push_back("not everything could be looked at: " + end.message());
    }
  }
  return problems;
}

Result<std::vector<BlobId>> TreesNamed(const Path& file) {
  TYLLM_ASSIGN(const std::unique_ptr<Database> database, Database::Open(file.string(), {}));
  return projects::TreesInUse(*database);
}

Result<std::vector<std::string>> CheckLive(Database& database) {
  std::vector<std::string> problems;
  TYLLM_TRY(CheckRules(database, kLiveInvariants, problems));
  return problems;
}

Status SkipIds(Database& database) {
  TYLLM_TRY(database.Begin());
  TYLLM_TRY(database.Change(kSkipIds).status());
  return database.Commit().status();
}

}  // namespace tyllm::server::store
