// SPDX-License-Identifier: Apache-2.0
#include "server/store/schema.h"

#include <gtest/gtest.h>

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
  for (const char* change : {"UPDATE tasks SET state = 1, ended_ms = NULL",
                             "UPDATE jobs SET state = 3", "UPDATE job_events SET text = ''"}) {
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
  for (const char* row :
       {"INSERT INTO jobs(state, spec, outputs, created_ms) VALUES(6, '{}', '{}', 1)",
        "INSERT INTO jobs(state, spec, outputs, created_ms) VALUES(3, '{}', '{}', 1)",
        "INSERT INTO jobs(state, spec, outputs, created_ms) VALUES(0, '{}', '{}', 'today')",
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
