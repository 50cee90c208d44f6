// SPDX-License-Identifier: Apache-2.0
#include "server/store/schema.h"

#include <gtest/gtest.h>

#include "server/store/database_check.h"
#include "server/store/rows_json.h"
#include "server/store/sqlite_queue.h"
#include "tests/server/store/samples.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::store {
namespace {

class SchemaTest : public ::testing::Test {
 protected:
  std::unique_ptr<Database> Open() {
    auto database = Database::Open((folder_ / "q.db").string(), "");
    EXPECT_TRUE(database.ok()) << database.status().ToString();
    return *std::move(database);
  }

  Result<std::unique_ptr<Queue>> OpenQueue() {
    return OpenSqliteQueue({.file = folder_ / "q.db", .toolchain_version = "1", .vfs = {}});
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(SchemaTest, ANewFileGetsTheNewestSchemaAndAnOldOneStaysAsItIs) {
  ASSERT_TRUE(OpenQueue().ok());
  ASSERT_TRUE(OpenQueue().ok());
  static constexpr Sql kVersion{"PRAGMA user_version"};
  const auto database = Open();
  auto rows = database->Query(kVersion);
  ASSERT_TRUE(*rows->Next());
  EXPECT_EQ(rows->Integer(0), SchemaVersion());
}

TEST_F(SchemaTest, EveryEarlierSchemaIsBroughtUpToDate) {
  for (std::int64_t version = 0; version < SchemaVersion(); ++version) {
    const testing::TemporaryDirectory folder;
    const std::string file = (folder / "q.db").string();
    {
      const auto database = Database::Open(file, "");
      ASSERT_TRUE(Migrate(**database, version).ok());
    }
    const auto queue = OpenSqliteQueue({.file = file, .toolchain_version = "1", .vfs = {}});
    EXPECT_TRUE(queue.ok()) << "from schema " << version << ": " << queue.status().ToString();
  }
}

TEST_F(SchemaTest, ANewerSchemaIsRefusedAndLeftAlone) {
  ASSERT_TRUE(OpenQueue().ok());
  ASSERT_TRUE(Open()->Execute("PRAGMA user_version=999").ok());
  const auto refused = OpenQueue();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("has schema 999"), std::string::npos);
}

TEST_F(SchemaTest, FilesOfOthersAreRefused) {
  ASSERT_TRUE(Open()->Execute("CREATE TABLE theirs(x)").ok());
  EXPECT_EQ(OpenQueue().status().code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(), folder_ / "text.db", std::string(4096, 'x')).ok());
  const auto text =
      OpenSqliteQueue({.file = folder_ / "text.db", .toolchain_version = "1", .vfs = {}});
  EXPECT_EQ(text.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(text.status().message().find("tyllm-server restore"), std::string::npos)
      << text.status().message();
}

TEST_F(SchemaTest, OfADamagedFileABackupHelpsAndNotARestart) {
  ASSERT_TRUE(OpenQueue().ok());
  auto bytes = LocalFileSystem().Read(folder_ / "q.db");
  ASSERT_TRUE(bytes.ok());
  constexpr std::size_t kHeader = 100;  // of the first page, whose list of tables comes after it
  bytes->replace(kHeader, 2000, 2000, '\xff');
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder_ / "q.db", *bytes).ok());
  const Status status = OpenQueue().status();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("malformed"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("tyllm-server restore"), std::string::npos) << status.message();
}

TEST_F(SchemaTest, ASecondServerOnTheSameFileIsToldSo) {
  const auto first = OpenQueue();
  ASSERT_TRUE(first.ok());
  const auto second = OpenQueue();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), StatusCode::kUnavailable);
  EXPECT_NE(second.status().message().find("another process"), std::string::npos);
}

TEST_F(SchemaTest, WhatHasEndedCannotChangeWhateverTheProgramDoes) {
  {
    const auto queue = OpenQueue();
    ASSERT_TRUE((*queue)->Begin().ok());
    ASSERT_TRUE((*queue)->Enqueue(SampleJob("r", domain::JobKind::kConvert), 1).ok());
    ASSERT_TRUE((*queue)->CancelJob({1}, 2).ok());
    ASSERT_TRUE((*queue)->Commit().ok());
  }
  const auto database = Open();
  for (const char* change :
       {"UPDATE tasks SET state = 1, ended_ms = NULL", "UPDATE jobs SET state = 3",
        "UPDATE job_texts SET spec = ''", "UPDATE job_events SET text = ''"}) {
    EXPECT_EQ(database->Execute(change).code(), StatusCode::kInternal) << change;
  }
}

TEST_F(SchemaTest, WhatBreaksARuleOfRunningTasksIsFoundByTheQueueItself) {
  {
    const auto queue = OpenQueue();
    ASSERT_TRUE((*queue)->Begin().ok());
    for (const char* request : {"a", "b", "c"}) {
      ASSERT_TRUE((*queue)->Enqueue(SampleJob(request, domain::JobKind::kConvert), 1).ok());
    }
    ASSERT_TRUE((*queue)->StartAttempt({1}, {"w", "s"}, 2).ok());
    ASSERT_TRUE((*queue)->StartAttempt({2}, {"w", "s"}, 2).ok());
    ASSERT_TRUE((*queue)->Commit().ok());
    EXPECT_EQ(*(*queue)->FindViolations(), std::vector<std::string>());
  }
  const auto found_after = [&](const char* damage) {
    EXPECT_TRUE(Open()->Execute(damage).ok()) << damage;
    return *(*OpenQueue())->FindViolations();
  };
  std::vector<std::string> all = {"t1: a task that is held has a running attempt"};
  EXPECT_EQ(found_after("UPDATE attempts SET ended_ms = 3, ending = 5 WHERE task = 1"), all);
  all.emplace_back("t2: no other attempt of a task that is held runs");
  EXPECT_EQ(found_after("INSERT INTO attempts(task, attempt, worker, session, started_ms) "
                        "VALUES(2, 9, 'w', 's', 1)"),
            all);
  all.emplace_back("t2: a task that is held belongs to a job that has not ended");
  EXPECT_EQ(found_after("UPDATE jobs SET state = 4, ended_ms = 5 WHERE id = 2"), all);
  all.emplace_back("t3: the result that a queued task is to use is there");
  EXPECT_EQ(found_after("UPDATE tasks SET use_cache = 1, has_result = 1 WHERE id = 3"), all);
}

TEST_F(SchemaTest, RowsThatMakeNoSenseAreRefused) {
  ASSERT_TRUE(OpenQueue().ok());
  const auto database = Open();
  for (const char* row : {"INSERT INTO jobs(state, created_ms) VALUES(6, 1)",
                          "INSERT INTO jobs(state, created_ms) VALUES(3, 1)",
                          "INSERT INTO jobs(state, created_ms) VALUES(0, 'today')",
                          "INSERT INTO jobs(state, kind, created_ms) VALUES(0, 5, 1)",
                          "INSERT INTO requests(request_id, method, at_ms) VALUES('r', NULL, 1)"}) {
    EXPECT_FALSE(database->Execute(row).ok()) << row;
  }
}

TEST_F(SchemaTest, TasksThatWereQueuedBeforeThereWereLanesKeepTheirTurn) {
  {
    const auto database = Open();
    ASSERT_TRUE(Migrate(*database, 2).ok());
    ASSERT_TRUE(database
                    ->Execute("INSERT INTO jobs(state, spec, outputs, created_ms, priority) "
                              "VALUES(0, '{}', '{}', 1, 5);"
                              "INSERT INTO tasks(job, position, label, kind, state, spec, inputs, "
                              "use_cache, action_key, queued_ms) "
                              "VALUES(1, 0, 'convert', 1, 1, '{}', '[]', 0, zeroblob(32), 1)")
                    .ok());
  }
  const auto queue = OpenQueue();
  ASSERT_TRUE(queue.ok()) << queue.status().ToString();
  ASSERT_TRUE((*queue)->Begin().ok());
  const auto lanes = (*queue)->Lanes(10);
  ASSERT_TRUE(lanes.ok()) << lanes.status().ToString();
  ASSERT_EQ(lanes->size(), 1U);
  EXPECT_EQ(lanes->front().key.project, "default");
  EXPECT_EQ(lanes->front().key.priority, 5);
  EXPECT_EQ(lanes->front().key.needs.kind, domain::TaskKind::kConvert);
  EXPECT_EQ((*queue)->Candidates(lanes->front().id, 10, 9)->size(), 1U);
}

TEST_F(SchemaTest, AnOlderQueueIsKeptBesideBeforeItIsMigrated) {
  {
    ASSERT_TRUE(Migrate(*Open(), 3).ok());
  }
  const SqliteOptions options{
      .file = folder_ / "q.db", .toolchain_version = "1", .vfs = {}, .copies = folder_ / "copies"};
  {
    ASSERT_TRUE(OpenSqliteQueue(options).ok());
  }
  const Path copy = folder_ / "copies" / "queue-schema-3.db";
  {
    const auto old = Database::Open(copy.string(), {});
    ASSERT_TRUE(old.ok()) << old.status().ToString();
    EXPECT_EQ(*SchemaOf(**old), 3);
  }
  {
    ASSERT_TRUE(OpenSqliteQueue(options).ok());
  }  // nothing to keep any more
  const std::string newest = "queue-schema-" + std::to_string(SchemaVersion()) + ".db";
  EXPECT_FALSE(std::filesystem::exists(folder_ / "copies" / newest));
}

TEST_F(SchemaTest, TreesOfJobsFromBeforeTheyWereCountedAreInUse) {
  const std::string tree = SampleTree("model").ToString();
  {
    const auto database = Open();
    ASSERT_TRUE(Migrate(*database, 4).ok());
    const std::string rows =
        "INSERT INTO jobs(state, spec, outputs, created_ms) VALUES(0, '{}', '{}', 1);"
        "INSERT INTO lanes(id, project, job_class, priority, kind, requirements) "
        "VALUES(1, 'default', 0, 0, 1, '[]');"
        "INSERT INTO tasks(job, position, label, kind, state, spec, inputs, use_cache, lane) "
        "VALUES(1, 0, 'convert', 1, 0, '{}', '[{\"name\":\"model\",\"tree\":\"" +
        tree + "\"}]', 0, 1)";
    ASSERT_TRUE(database->Execute(rows.c_str()).ok());
  }
  const auto queue = OpenQueue();
  ASSERT_TRUE(queue.ok()) << queue.status().ToString();
  ASSERT_TRUE((*queue)->Begin().ok());
  EXPECT_EQ(*(*queue)->TreesInUse(), std::vector<BlobId>{SampleTree("model")});
}

TEST_F(SchemaTest, WhatWasFoundByKeysBeforeIsFound) {
  constexpr std::int64_t kBeforeKeysWereInMemory = 7;
  const Sha256 key = DigestOf("action");
  {
    const auto database = Open();
    ASSERT_TRUE(Migrate(*database, kBeforeKeysWereInMemory).ok());
    const std::string rows =
        "INSERT INTO requests(request_id, method, fingerprint, job, at_ms) "
        "VALUES('z', 'SubmitJob', NULL, 5, 10), ('a', 'CancelJob', NULL, NULL, 20);"
        "INSERT INTO actions(key, output, task, at_ms) VALUES(x'" +
        key.Hex() + "', '" + SampleTree("o").ToString() + "', 3, 10)";
    ASSERT_TRUE(database->Execute(rows.c_str()).ok());
  }
  const auto queue = OpenQueue();
  ASSERT_TRUE(queue.ok()) << queue.status().ToString();
  EXPECT_EQ((*(*queue)->FindRequest("z"))->job, JobId{5});
  EXPECT_EQ((*(*queue)->FindRequest("a"))->method, "CancelJob");
  EXPECT_EQ(*(*queue)->FindRequest("b"), std::nullopt);
  EXPECT_EQ(*(*queue)->FindResult(key), SampleTree("o"));
  EXPECT_TRUE(*(*queue)->KeysAreTrue());
}

std::string SpecOfSchema8(domain::JobKind kind, std::map<std::string, std::string> labels) {
  domain::JobSpec spec = SampleJob("r", kind).spec;
  spec.labels = std::move(labels);
  return "'" + ToColumn(spec) + "'";
}

// Two jobs as schema 8 has them: one that waits, whose labels were changed, and one that has ended.
std::string TwoJobsOfSchema8() {
  const std::string failure = "'" + ToColumn(SampleFailure("CRASHED")) + "'";
  return R"sql(
INSERT INTO jobs(id, state, spec, outputs, created_ms, priority, last_event)
  VALUES (7, 0, )sql" +
         SpecOfSchema8(domain::JobKind::kCompile, {{"a", "1"}}) + R"sql(,
  '{"o":"convert"}', 10, 3, 1);
INSERT INTO jobs(id, state, spec, outputs, created_ms, ended_ms, last_event, failure)
  VALUES (8, 4, )sql" +
         SpecOfSchema8(domain::JobKind::kEvaluate, {{"a", "1"}, {"b", "ü"}}) +
         ", '{}', 11, 90, 1, " + failure + R"sql();
INSERT INTO job_labels VALUES(7, 'a', '2'), (8, 'a', '1'), (8, 'b', 'ü');
INSERT INTO lanes(id, project, job_class, priority, kind, requirements)
  VALUES(1, 'default', 0, 3, 1, '[]');
INSERT INTO tasks(id, job, position, label, kind, state, spec, inputs, use_cache, action_key,
  queued_ms, lane) VALUES(21, 7, 0, 'convert', 1, 1, '{"kind":"convert"}', '[]', 0, zeroblob(32),
  10, 1);
INSERT INTO tasks(id, job, position, label, kind, state, attempt, spec, inputs, use_cache,
  action_key, worker, session, failure, ended_ms, lane) VALUES(22, 8, 0, 'evaluate', 2, 5, 1,
  '{"kind":"evaluate"}', '[]', 0, zeroblob(32), 'w', 's', )sql" +
         failure + R"sql(, 90, 1);
INSERT INTO attempts(task, attempt, worker, session, started_ms, ended_ms, ending)
  VALUES(22, 1, 'w', 's', 20, 90, 1);
INSERT INTO decisions(task, number, at_ms, text) VALUES(22, 1, 20, 'attempt 1 goes to w');
INSERT INTO job_events(job, number, at_ms, text, job_state, task, task_state)
  VALUES(7, 1, 10, 'queued', 0, 21, 1), (8, 1, 90, 'failed', 4, 22, 5);
INSERT INTO job_trees(job, tree, project, bytes) VALUES(7, 't/1', 'default', 100),
  (8, 't/1', 'default', 100), (8, 'u/2', 'default', 20);
UPDATE projects SET live_jobs = 1;
INSERT INTO workers(name, session, capabilities, last_seen_ms)
  VALUES('w', 's', '{"toolchain_version":"0.9"}', 1);
DELETE FROM sqlite_sequence WHERE name = 'tasks';
INSERT INTO sqlite_sequence(name, seq) VALUES('tasks', 40);
)sql";
}

TEST_F(SchemaTest, JobsAndTasksOfBeforeRowsWereSmallAreAsTheyWere) {
  constexpr std::int64_t kBeforeRowsWereSmall = 8;
  {
    const auto database = Open();
    ASSERT_TRUE(Migrate(*database, kBeforeRowsWereSmall).ok());
    const Status filled = database->Execute(TwoJobsOfSchema8().c_str());
    ASSERT_TRUE(filled.ok()) << filled.ToString();
  }
  {
    const auto opened = OpenQueue();
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    Queue& queue = **opened;
    const domain::JobView waits = *queue.GetJob({7});
    EXPECT_EQ(waits.spec.kind, domain::JobKind::kCompile);
    EXPECT_EQ(waits.labels, (std::map<std::string, std::string>{{"a", "2"}}));
    EXPECT_EQ(waits.spec.labels, (std::map<std::string, std::string>{{"a", "1"}}));
    const domain::JobView ended = *queue.GetJob({8});
    EXPECT_EQ(ended.labels, (std::map<std::string, std::string>{{"a", "1"}, {"b", "ü"}}));
    EXPECT_EQ(ended.tasks.front().id, TaskId{22});
    JobFilter evaluations;
    evaluations.kinds = {domain::JobKind::kEvaluate};
    ASSERT_EQ(queue.ListJobs(evaluations)->size(), 1U);
    JobFilter labelled;
    labelled.labels = {{"a", "2"}};
    EXPECT_EQ(queue.ListJobs(labelled)->front().id, JobId{7});
    EXPECT_EQ(queue.GetProject("default")->stored_bytes, 120);
    EXPECT_EQ(queue.Decisions({22})->size(), 1U);
    EXPECT_EQ(queue.GetTask({22})->view.attempt, 1);
    ASSERT_TRUE(queue.Begin().ok());
    ASSERT_TRUE(queue.Enqueue(SampleJob("new", domain::JobKind::kConvert), 95).ok());
    EXPECT_EQ(queue.GetJob({9})->tasks.front().id, TaskId{41}) << "numbers are not used again";
    EXPECT_TRUE(queue.DeleteJob({8}).ok());
    EXPECT_EQ(queue.GetProject("default")->stored_bytes, 100);
    ASSERT_TRUE(queue.Commit().ok());
  }
  EXPECT_EQ(*CheckDatabase(folder_ / "q.db"), std::vector<std::string>());
}

// A job of tasks of three actions: one that runs, with two that wait for it and one that does not
// want its result; two that wait for a worker; two whose result is there.
std::string TasksOfSchema9() {
  std::string rows = R"sql(
INSERT INTO jobs(id, state, kind, created_ms, last_event) VALUES(7, 1, 1, 10, 1);
INSERT INTO job_texts(job, spec, outputs) VALUES(7, '{"kind":"convert"}', '{}');
INSERT INTO job_events(job, number, at_ms, text, job_state) VALUES(7, 1, 10, 'running', 1);
UPDATE projects SET live_jobs = 1;
INSERT INTO lanes(id, project, job_class, priority, kind, requirements)
  VALUES(1, 'default', 0, 0, 1, '[]');
INSERT INTO actions(key, output, task, at_ms) VALUES(CAST(printf('%032d', 3) AS BLOB), ')sql" +
                     SampleTree("out").ToString() + "', 1, 5);";
  const auto add = [&](int id, int state, bool use_cache, int action, bool has_result) {
    const std::string number = std::to_string(id);
    rows +=
        "INSERT INTO tasks(id, job, position, label, kind, state, attempt, worker, session, " +
        std::string("spec, inputs, use_cache, action_key, has_result, queued_ms, lane) VALUES(") +
        number + ", 7, " + number + ", 'l" + number + "', 1, " + std::to_string(state) + ", " +
        (state == 2 ? "1, 'w', 's'" : "0, NULL, NULL") + ", '{}', '[]', " +
        (use_cache ? "1" : "0") + ", CAST(printf('%032d', " + std::to_string(action) +
        ") AS BLOB), " + (has_result ? "1" : "0") + ", 10, 1);";
  };
  add(1, 2, true, 1, false);
  add(2, 1, true, 1, false);
  add(3, 1, true, 1, false);
  add(4, 1, false, 1, false);
  add(5, 1, true, 2, false);
  add(6, 1, true, 2, false);
  add(7, 1, true, 3, true);
  add(8, 1, true, 3, true);
  return rows +
         "INSERT INTO attempts(task, attempt, worker, session, started_ms) "
         "VALUES(1, 1, 'w', 's', 20);";
}

TEST_F(SchemaTest, OfTasksOfOneActionTheFirstIsLookedAt) {
  constexpr std::int64_t kBeforeTheyWaited = 9;
  {
    const auto database = Open();
    ASSERT_TRUE(Migrate(*database, kBeforeTheyWaited).ok());
    const Status filled = database->Execute(TasksOfSchema9().c_str());
    ASSERT_TRUE(filled.ok()) << filled.ToString();
  }
  {
    const auto opened = OpenQueue();
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    Queue& queue = **opened;
    std::vector<TaskId> given;
    const auto candidates = queue.Candidates(1, 100, 100);
    for (const sched::Candidate& one : *candidates) {
      given.push_back(one.id);
    }
    EXPECT_EQ(given, (std::vector<TaskId>{{4}, {5}}));
    const auto hits = queue.CacheHits({.limit = 9});
    ASSERT_EQ(hits->size(), 1U);
    EXPECT_EQ(hits->front().task, TaskId{7});
    EXPECT_TRUE(*queue.KeysAreTrue());
  }
  EXPECT_EQ(*CheckDatabase(folder_ / "q.db"), std::vector<std::string>());
}

// A job that waits, one that has ended and a worker that is cordoned.
constexpr const char* kRowsOfSchema10 = R"sql(
INSERT INTO jobs(id, state, kind, created_ms, last_event) VALUES(7, 0, 1, 10, 1);
INSERT INTO jobs(id, state, kind, created_ms, ended_ms, last_event) VALUES(8, 5, 1, 11, 12, 1);
INSERT INTO job_texts(job, spec, outputs) VALUES
  (7, '{"kind":"convert","name":"m","model":")sql";

std::string RowsOfSchema10() {
  const std::string model = SampleTree("model").ToString() + "\"}', '{}')";
  return kRowsOfSchema10 + model + R"sql(, (8, '{"kind":"convert","name":"m","model":")sql" +
         model +
         R"sql(;
INSERT INTO job_events(job, number, at_ms, text, job_state) VALUES(7, 1, 10, 'accepted', 0),
  (8, 1, 12, 'cancelled', 5);
UPDATE projects SET live_jobs = 1;
INSERT INTO lanes(id, project, job_class, priority, kind, requirements)
  VALUES(1, 'default', 0, 0, 1, '[]');
INSERT INTO tasks(id, job, position, label, kind, state, spec, inputs, use_cache, action_key,
  queued_ms, ended_ms, lane) VALUES
  (1, 7, 0, 'convert', 1, 1, '{"kind":"convert"}', '[]', 0, zeroblob(32), 10, NULL, 1),
  (2, 8, 0, 'convert', 1, 6, '{"kind":"convert"}', '[]', 0, zeroblob(32), 11, 12, 1);
INSERT INTO workers(name, session, capabilities, mode, mode_reason, last_seen_ms)
  VALUES('w', 's', '{}', 1, 'new disk', 1);
)sql";
}

TEST_F(SchemaTest, WhatIsFromBeforeCallersHadNamesIsNobodysAndWaitsForAsLongAsItTakes) {
  constexpr std::int64_t kBeforeCallersHadNames = 10;
  {
    const auto database = Open();
    ASSERT_TRUE(Migrate(*database, kBeforeCallersHadNames).ok());
    const Status filled = database->Execute(RowsOfSchema10().c_str());
    ASSERT_TRUE(filled.ok()) << filled.ToString();
  }
  {
    const auto opened = OpenQueue();
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    Queue& queue = **opened;
    EXPECT_EQ(queue.GetJob({7})->submitted_by, "");
    EXPECT_EQ(queue.GetJob({7})->start_by_unix_ms, 0);
    EXPECT_EQ(queue.EventsAfter({8}, 0, 9)->front().by, "");
    EXPECT_EQ(queue.ListWorkers()->front().order.reason, "new disk");
    EXPECT_EQ(queue.ListWorkers()->front().order.by, "");
    ASSERT_TRUE(queue.Begin().ok());
    EXPECT_TRUE(queue.Unstarted(1'000'000, 0, 9)->empty());
    ASSERT_TRUE(queue.CancelJob({7}, "ada", 20).ok());
    EXPECT_EQ(queue.EventsAfter({7}, 1, 1)->front().by, "ada");
    NewJob job = SampleJob("new", domain::JobKind::kConvert);
    job.submitted_by = "ada";
    ASSERT_EQ(*queue.Enqueue(job, 30), JobId{9});
    ASSERT_TRUE(queue.Commit().ok());
  }
  EXPECT_EQ(*CheckDatabase(folder_ / "q.db"), std::vector<std::string>());
  for (const char* change : {"UPDATE jobs SET submitted_by = 1 WHERE id = 8",
                             "UPDATE jobs SET start_by_ms = 5 WHERE id = 8"}) {
    EXPECT_EQ(Open()->Execute(change).code(), StatusCode::kInternal) << change;
  }
}

TEST_F(SchemaTest, AJobThatHasBegunAndMayStillBeGivenUpIsFoundByTheCheck) {
  {
    const auto queue = OpenQueue();
    ASSERT_TRUE((*queue)->Begin().ok());
    ASSERT_TRUE((*queue)->Enqueue(SampleJob("a", domain::JobKind::kConvert), 1).ok());
    ASSERT_TRUE((*queue)->StartAttempt({1}, {"w", "s"}, 2).ok());
    ASSERT_TRUE((*queue)->AddTree({1}, SampleTree("model"), 1).ok());
    ASSERT_TRUE((*queue)->Commit().ok());
  }
  ASSERT_EQ(*CheckDatabase(folder_ / "q.db"), std::vector<std::string>());
  ASSERT_TRUE(Open()->Execute("UPDATE jobs SET start_by_ms = 5").ok());
  EXPECT_EQ(*CheckDatabase(folder_ / "q.db"),
            std::vector<std::string>{"j1: a job that may still be given up has not begun"});
}

TEST_F(SchemaTest, WhatJobsStoreGoesWithThem) {
  const auto stored = [&] {
    const auto queue = OpenQueue();
    EXPECT_TRUE((*queue)->Begin().ok());
    return (*queue)->GetProject("default")->stored_bytes;
  };
  {
    const auto queue = OpenQueue();
    ASSERT_TRUE((*queue)->Begin().ok());
    for (const char* request : {"a", "b"}) {
      const auto job = (*queue)->Enqueue(SampleJob(request, domain::JobKind::kConvert), 1);
      ASSERT_TRUE((*queue)->AddTree(*job, SampleTree("model"), 100).ok());
    }
    ASSERT_TRUE((*queue)->Commit().ok());
  }
  EXPECT_EQ(stored(), 100);
  ASSERT_TRUE(Open()->Execute("DELETE FROM job_trees WHERE job = 1").ok());
  EXPECT_EQ(stored(), 100);
  ASSERT_TRUE(Open()->Execute("DELETE FROM job_trees WHERE job = 2").ok());
  EXPECT_EQ(stored(), 0);
}

}  // namespace
}  // namespace tyllm::server::store
