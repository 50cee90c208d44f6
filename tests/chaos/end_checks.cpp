// SPDX-License-Identifier: Apache-2.0
#include "tests/chaos/end_checks.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <memory>

#include "common/format/tree.h"
#include "common/wire/types.h"

namespace tyllm::testing {

namespace {

bool HasDigest(const v1::BlobId& blob, const std::string& content) {
  return blob.size() == content.size() && blob.sha256() == DigestOf(content).Hex();
}

/// Content of the tree's file; every file of it is fetched and compared with its name.
std::string CheckTree(FarmClient& client, const v1::BlobId& id, const std::string& wanted) {
  const auto text = client.Download(id);
  EXPECT_TRUE(text.ok()) << text.status().ToString();
  if (!text.ok()) {
    return "";
  }
  EXPECT_TRUE(HasDigest(id, *text));
  const auto tree = format::ParseTree(*text);
  EXPECT_TRUE(tree.ok()) << tree.status().ToString();
  std::string found;
  for (const format::TreeEntry& entry : tree->entries) {
    const auto content = client.Download(wire::ToProto(entry.blob));
    EXPECT_TRUE(content.ok()) << entry.path << ": " << content.status().ToString();
    if (content.ok()) {
      EXPECT_TRUE(HasDigest(wire::ToProto(entry.blob), *content)) << entry.path;
      found = entry.path == wanted ? *content : found;
    }
  }
  return found;
}

// "begin t7-2", lines by number, "done t7-2".
// A run that jobs share (`shared`) may have been begun under another job's name.
void CheckScriptsLog(const std::string& log, const std::string& attempt, const std::string& name,
                     bool shared) {
  EXPECT_TRUE(log.starts_with("begin " + attempt + "\n")) << attempt;
  EXPECT_TRUE(log.ends_with("done " + attempt + "\n")) << attempt;
  if (shared) {
    return;
  }
  const int lines = name.starts_with("chatty-") ? 3000 : 20;
  std::string expected;
  for (int i = 0; i < lines; ++i) {
    expected += "line " + std::to_string(i) + " of " + name + "\n";
  }
  EXPECT_NE(log.find(expected), std::string::npos) << attempt << ": lines are missing";
}

/// Rows of one text column; a failure of the test when the statement fails.
std::vector<std::string> Select(sqlite3* database, const std::string& sql) {
  std::vector<std::string> rows;
  char* error = nullptr;
  const auto take = [](void* to, int /*columns*/, char** values, char** /*names*/) {
    static_cast<std::vector<std::string>*>(to)->emplace_back(values[0] == nullptr ? "" : values[0]);
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), take, &rows, &error), SQLITE_OK)
      << sql << ": " << (error == nullptr ? "" : error);
  sqlite3_free(error);
  return rows;
}

struct Invariant {
  const char* what;
  const char* violations;  ///< rows of what breaks it
};

// States and endings are those of docs/formats/sqlite_schema.md: 4 and 0 are success.
constexpr Invariant kInvariants[] = {
    {"an attempt of an ended task is open",
     "SELECT 't' || task || '-' || attempt FROM attempts WHERE ended_ms IS NULL"},
    {"a task of an ended job is not ended",
     "SELECT 't' || t.id FROM tasks AS t JOIN jobs AS j ON j.id = t.job WHERE j.state >= 3 AND "
     "t.state < 4"},
    {"a task succeeded by other than its last attempt",
     "SELECT 't' || id FROM tasks AS t WHERE state = 4 AND cached = 0 AND kept = 0 AND NOT "
     "EXISTS(SELECT 1 FROM attempts AS a WHERE a.task = t.id AND a.attempt = t.attempt AND "
     "a.ending = 0)"},
    {"two attempts of a task succeeded",
     "SELECT 't' || task FROM attempts WHERE ending = 0 GROUP BY task HAVING count(*) > 1"},
    {"an attempt succeeded whose task did not",
     "SELECT 't' || a.task FROM attempts AS a JOIN tasks AS t ON t.id = a.task WHERE a.ending = 0 "
     "AND t.state <> 4"},
    {"attempts of a task are not numbered from 1 on",
     "SELECT 't' || task FROM attempts GROUP BY task HAVING min(attempt) <> 1 OR max(attempt) <> "
     "count(*)"},
    {"events of a job are not numbered from 1 to its last",
     "SELECT 'j' || j.id FROM jobs AS j WHERE (SELECT count(*) FROM job_events WHERE job = j.id) "
     "<> j.last_event OR (SELECT max(number) FROM job_events WHERE job = j.id) <> j.last_event"},
    {"a task ended twice in its job's events",
     "SELECT 't' || task FROM job_events WHERE task IS NOT NULL AND task_state >= 4 GROUP BY task, "
     "job "
     "HAVING count(*) > 1"},
    {"a request has no job",
     "SELECT request_id FROM requests WHERE method IN ('SubmitJob', 'RetryJob') AND job NOT IN "
     "(SELECT id FROM jobs) AND job NOT IN (SELECT job FROM requests WHERE method = 'DeleteJob')"},
    {"a job that was given up had begun",
     "SELECT 'j' || j.id FROM jobs AS j WHERE json_extract(j.failure, '$.reason') = 'NOT_STARTED' "
     "AND EXISTS(SELECT 1 FROM tasks AS t JOIN attempts AS a ON a.task = t.id WHERE t.job = j.id)"},
    {"a job that has ended may still be given up",
     "SELECT 'j' || id FROM jobs WHERE start_by_ms IS NOT NULL"},
    {"a foreign key points nowhere", "PRAGMA foreign_key_check"},
};

}  // namespace

void CheckResults(FarmClient& client, const v1::Job& job) {
  if (job.state() != v1::JOB_STATE_SUCCEEDED) {
    return;
  }
  SCOPED_TRACE(job.id());
  for (const v1::Task& task : job.tasks()) {
    SCOPED_TRACE(task.id());
    EXPECT_EQ(task.state(), v1::TASK_STATE_SUCCEEDED);
    const std::string made_by = CheckTree(client, task.output(), "made-by");
    if (task.cached() || task.attempt() == 0) {
      continue;  // by another job's task, which is checked as such
    }
    const std::string attempt = task.id() + "-" + std::to_string(task.attempt());
    EXPECT_EQ(made_by, attempt + "\n") << "the result of another attempt was taken";
    if (task.worker() != "scribe") {
      const auto log = client.ReadLog(task.id(), task.attempt());
      EXPECT_TRUE(log.ok()) << log.status().ToString();
      CheckScriptsLog(log.ok() ? *log : "", attempt, job.spec().name(), !job.spec().no_cache());
    }
  }
}

void CheckLogs(FarmClient& client, const Scribe::Memory& memory) {
  for (const auto& [attempt, bytes] : memory.acknowledged) {
    const auto log = client.ReadLog(attempt.first, attempt.second);
    ASSERT_TRUE(log.ok()) << attempt.first << ": " << log.status().ToString();
    ASSERT_GE(static_cast<std::int64_t>(log->size()), bytes)
        << attempt.first << " attempt " << attempt.second << ": acknowledged bytes are lost";
    for (std::size_t i = 0; i < log->size(); ++i) {
      ASSERT_EQ((*log)[i], Scribe::ByteAt(attempt, static_cast<std::int64_t>(i)))
          << attempt.first << " attempt " << attempt.second << ": byte " << i;
    }
  }
}

void CheckSlots(FarmClient& client) {
  const auto workers = client.Workers();
  ASSERT_TRUE(workers.ok()) << workers.status().ToString();
  for (const v1::Worker& worker : *workers) {
    EXPECT_EQ(worker.task_ids_size(), 0) << worker.ShortDebugString();
  }
}

void CheckDatabase(const std::filesystem::path& file, std::size_t requests) {
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  const std::unique_ptr<sqlite3, decltype(&sqlite3_close)> database(raw, sqlite3_close);
  EXPECT_EQ(Select(raw, "PRAGMA integrity_check"), std::vector<std::string>{"ok"});
  for (const Invariant& invariant : kInvariants) {
    const std::vector<std::string> broken = Select(raw, invariant.violations);
    EXPECT_TRUE(broken.empty()) << invariant.what << ": " << (broken.empty() ? "" : broken[0]);
  }
  EXPECT_EQ(Select(raw, "SELECT count(*) FROM jobs"),
            std::vector<std::string>{std::to_string(requests)})
      << "every request made one job";
}

}  // namespace tyllm::testing
