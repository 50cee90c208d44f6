// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <limits>
#include <set>
#include <thread>

#include "common/base/blob_path.h"
#include "common/wire/jobs.h"
#include "server/app/backup.h"
#include "server/app/compact.h"
#include "server/app/copy_files.h"
#include "server/app/copy_request.h"
#include "server/app/fsck.h"
#include "server/core/last_backup.h"
#include "server/store/database.h"
#include "server/store/sqlite_queue.h"
#include "tests/support/blob_client.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/http_get.h"
#include "tests/support/metric_value.h"
#include "tyllm/v1/jobs.grpc.pb.h"

namespace tyllm::server::app {
namespace {

namespace fs = std::filesystem;
using testing::BlobClient;
using testing::CallContext;
using testing::TestServer;

/// A server with one queued job, backed up while it serves.
class Maintenance : public ::testing::Test {
 protected:
  Maintenance() : backup_(folder_ / "backup") {}

  static std::string Submit(const std::shared_ptr<grpc::Channel>& channel,
                            const std::string& request_id, const std::string& content,
                            int labels = 0) {
    BlobClient blobs(channel);
    const auto jobs = v1::JobService::NewStub(channel);
    CallContext context;
    v1::SubmitJobRequest request;
    request.set_request_id(request_id);
    request.mutable_spec()->set_kind(v1::JOB_KIND_CONVERT);
    request.mutable_spec()->set_name("demo");
    *request.mutable_spec()->mutable_model() = wire::ToProto(blobs.PutTree("f", content));
    for (int i = 0; i < labels; ++i) {
      (*request.mutable_spec()->mutable_labels())["label" + std::to_string(i)] =
          std::string(200, 'x');
    }
    v1::SubmitJobResponse response;
    const grpc::Status status = jobs->SubmitJob(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job().id();
  }

  void MakeBackup() {
    TestServer server;
    EXPECT_EQ(Submit(server.channel(), "r", "one"), "j1");
    const auto report = Backup(server.data(), backup_);
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_TRUE(report->while_serving);
    EXPECT_EQ(report->blobs.files, 2);  // the tree's list and its file
    EXPECT_EQ(Submit(server.channel(), "s", "two"), "j2");
    const auto again = Backup(server.data(), backup_);
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_EQ(again->blobs.files, 2);                         // only what is new
    EXPECT_EQ(Submit(server.channel(), "t", "three"), "j3");  // lost
  }

  std::unique_ptr<Server> Serve(const Path& data) {
    ServerConfig config;
    config.data = data;
    config.listen = "127.0.0.1:0";
    config.http = "127.0.0.1:0";
    auto server = Server::Start(config, {LocalFileSystem(), SystemClock(), log_});
    TYLLM_CHECK(server.ok());
    return *std::move(server);
  }

  std::vector<std::string> ProblemsOf(const Path& data) {
    const auto report = Fsck(data, true);
    EXPECT_TRUE(report.ok()) << report.status().ToString();
    return report.ok() ? report->problems : std::vector<std::string>();
  }

  testing::TemporaryDirectory folder_;
  const Path backup_;

 private:
  std::ostringstream lines_;
  telemetry::Log log_{
      {telemetry::LogLevel::kError, telemetry::LogFormat::kText}, SystemClock(), lines_};
};

TEST_F(Maintenance, ABackupMadeWhileServingBecomesAServerAgain) {
  MakeBackup();
  EXPECT_TRUE(ProblemsOf(backup_).empty());
  const Path restored = folder_ / "restored";
  const auto report = Restore(backup_, restored);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_TRUE(ProblemsOf(restored).empty());
  EXPECT_EQ(Restore(backup_, restored).status().code(), StatusCode::kAlreadyExists);
  ServerConfig config;
  config.data = restored;
  config.listen = "127.0.0.1:0";
  config.http = "127.0.0.1:0";
  std::ostringstream lines;
  telemetry::Log log({telemetry::LogLevel::kError, telemetry::LogFormat::kText}, SystemClock(),
                     lines);
  const auto server = Server::Start(config, {LocalFileSystem(), SystemClock(), log});
  ASSERT_TRUE(server.ok()) << server.status().ToString();
  const auto channel = *wire::MakeChannel((*server)->grpc_address(), {});
  EXPECT_EQ(Submit(channel, "s", "two"), "j2");
  // j3 was somebody's: it is nobody's now.
  EXPECT_EQ(Submit(channel, "u", "four"), "j1000003");
}

/// A data folder whose server has gone, with jobs that were deleted since.
class Compacting : public Maintenance {
 protected:
  static constexpr int kKept = 3;
  static constexpr int kDeleted = 20;

  Compacting() {
    const auto server = Serve(data_);
    const auto channel = *wire::MakeChannel(server->grpc_address(), {});
    const auto jobs = v1::JobService::NewStub(channel);
    for (int i = 0; i < kKept + kDeleted; ++i) {
      ids_.push_back(Submit(channel, "r" + std::to_string(i), "one", 60));
    }
    while (ids_.size() > kKept) {
      Delete(*jobs, ids_.back());
      ids_.pop_back();
    }
  }

  static void Delete(v1::JobService::Stub& jobs, const std::string& id) {
    CallContext cancelling;
    v1::CancelJobRequest cancel;
    cancel.set_job_id(id);
    v1::CancelJobResponse cancelled;
    EXPECT_TRUE(jobs.CancelJob(&cancelling, cancel, &cancelled).ok());
    CallContext deleting;
    v1::DeleteJobRequest remove;
    remove.set_job_id(id);
    v1::DeleteJobResponse removed;
    EXPECT_TRUE(jobs.DeleteJob(&deleting, remove, &removed).ok());
  }

  /// A fresh copy of what the server left, so that each try begins with the same.
  Path Fresh() {
    const Path data = folder_ / "again";
    fs::remove_all(data);
    fs::copy(data_, data, fs::copy_options::recursive);
    return data;
  }

  void ExpectWorks(const Path& data) {
    EXPECT_TRUE(ProblemsOf(data).empty());
    const auto queue = store::OpenSqliteQueue({.file = data / "queue.db"});
    ASSERT_TRUE(queue.ok()) << queue.status().ToString();
    for (const std::string& id : ids_) {
      EXPECT_TRUE((*queue)->GetJob(*domain::JobId::Parse(id)).ok()) << id;
    }
    EXPECT_EQ((*queue)->CountJobs()->at(domain::JobState::kQueued), kKept);
  }

  const Path data_ = folder_ / "left";

 private:
  std::vector<std::string> ids_;
};

TEST_F(Compacting, TheQueueIsSmallerAndHasAllThatItHad) {
  const Path data = Fresh();
  const std::uint64_t before = fs::file_size(data / "queue.db");
  const auto sizes = Compact(LocalFileSystem(), data);
  ASSERT_TRUE(sizes.ok()) << sizes.status().ToString();
  EXPECT_LT(sizes->after + kDeleted * 10'000, before);
  EXPECT_EQ(fs::file_size(data / "queue.db"), sizes->after);
  EXPECT_TRUE(fs::is_empty(data / "copies"));
  ExpectWorks(data);
  const auto again = Compact(LocalFileSystem(), data);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_LE(fs::file_size(data / "queue.db"), sizes->after);
  EXPECT_TRUE(fs::is_empty(data / "copies"));
  ExpectWorks(data);
}

// Ids that were given out are nobody's afterwards.
TEST_F(Compacting, IdsGoOnFromWhereTheyWere) {
  const Path data = Fresh();
  ASSERT_TRUE(Compact(LocalFileSystem(), data).ok());
  const auto server = Serve(data);
  EXPECT_EQ(Submit(*wire::MakeChannel(server->grpc_address(), {}), "new", "new"), "j24");
  EXPECT_EQ(Compact(LocalFileSystem(), data).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(Compacting, AfterAFailureAtAnyChangeTheQueueIsThereAndCanBeCompacted) {
  int healthy = 0;
  for (bool done = false; !done; ++healthy) {
    SCOPED_TRACE("at change " + std::to_string(healthy));
    const Path data = Fresh();
    testing::FaultyFileSystem faulty(healthy);
    done = Compact(faulty, data).ok();
    EXPECT_EQ(faulty.failed(), !done);
    ExpectWorks(data);
    const auto again = Compact(LocalFileSystem(), data);
    EXPECT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_TRUE(fs::is_empty(data / "copies"));
    ExpectWorks(data);
  }
  EXPECT_GT(healthy, 5);
}

TEST_F(Compacting, KilledAtAnyChangeItLeavesAQueueThatWorks) {
  bool killed = true;
  for (int healthy = 0; killed; ++healthy) {
    SCOPED_TRACE("at change " + std::to_string(healthy));
    const Path data = Fresh();
    const pid_t child = ::fork();
    if (child == 0) {
      testing::FaultyFileSystem faulty(healthy, testing::FaultyFileSystem::Fault::kKills);
      ::_exit(Compact(faulty, data).ok() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    killed = WIFSIGNALED(status);
    EXPECT_TRUE(killed || WEXITSTATUS(status) == 0);
    ExpectWorks(data);
    EXPECT_TRUE(Compact(LocalFileSystem(), data).ok());
    ExpectWorks(data);
  }
}

class AlmostFull final : public testing::FaultyFileSystem {
 public:
  AlmostFull() : FaultyFileSystem(std::numeric_limits<int>::max()) {}

  Result<std::uint64_t> FreeBytes(const Path& /*path*/) override { return std::uint64_t{1} << 20; }
};

TEST_F(Compacting, WithoutRoomForTheCopyNothingIsDone) {
  const Path data = Fresh();
  const std::uint64_t before = fs::file_size(data / "queue.db");
  AlmostFull disk;
  const Status status = Compact(disk, data).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
  EXPECT_NE(status.message().find("1048576 bytes free"), std::string::npos) << status.message();
  EXPECT_EQ(fs::file_size(data / "queue.db"), before);
  ExpectWorks(data);
}

TEST_F(Compacting, AQueueThatIsNotSoundIsLeftAlone) {
  const Path data = Fresh();
  {
    const auto database = store::Database::Open(data / "queue.db", {});
    ASSERT_TRUE(database.ok()) << database.status().ToString();
    ASSERT_TRUE((*database)->Execute("UPDATE projects SET stored_bytes = stored_bytes + 1").ok());
  }
  const Status status = Compact(LocalFileSystem(), data).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status.ToString();
  EXPECT_NE(status.message().find("is not sound"), std::string::npos) << status.message();
  EXPECT_TRUE(fs::is_empty(data / "copies"));
}

TEST_F(Maintenance, FsckCountsWhatNobodyNames) {
  const Path data = folder_ / "data";
  {
    const auto server = Serve(data);
    const auto channel = *wire::MakeChannel(server->grpc_address(), {});
    Submit(channel, "r", "one");
    BlobClient blobs(channel);
    blobs.Put("nobody named this");
    blobs.Put("nor this");
  }
  const auto report = Fsck(data, false);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  ASSERT_TRUE(report->unused.has_value());
  EXPECT_EQ(report->unused->blobs, 2);
  EXPECT_EQ(report->unused->bytes, 25U);
  const BlobId tree =
      testing::BlobOf(format::ToText(format::Tree{{{"f", testing::BlobOf("one"), false}}}));
  fs::remove(CompleteBlobPath(data / "blobs", tree.sha256));
  EXPECT_FALSE(Fsck(data, false)->unused.has_value())
      << "what the tree names is nobody's, as far as can be told";
}

double BackupAge(Server& server) {
  const std::string text = testing::HttpGet(server.http_address(), "/metrics").body;
  return std::stod(testing::MetricValue(text, "tyllm_backup_age_seconds"));
}

TEST_F(Maintenance, TheAgeOfTheLastBackupIsAMetricAlsoAfterARestart) {
  const Path data = folder_ / "data";
  ServerConfig config;
  config.data = data;
  config.listen = "127.0.0.1:0";
  config.http = "127.0.0.1:0";
  std::ostringstream lines;
  telemetry::Log log({telemetry::LogLevel::kError, telemetry::LogFormat::kText}, SystemClock(),
                     lines);
  const Server::Surroundings around{LocalFileSystem(), SystemClock(), log};
  {
    const auto server = Server::Start(config, around);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    EXPECT_EQ(BackupAge(**server), std::numeric_limits<double>::infinity()) << "none was made";
    const Path others = folder_ / "others";
    ASSERT_TRUE(LocalFileSystem().CreateDirectories(others).ok());
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), others / "thesis.tex", "x").ok());
    EXPECT_FALSE(Backup(data, others).ok());
    EXPECT_EQ(BackupAge(**server), std::numeric_limits<double>::infinity()) << "that was none";
    ASSERT_TRUE(Backup(data, backup_).ok());
    EXPECT_LT(BackupAge(**server), 60);
  }
  const std::int64_t day = 86'400'000;
  ASSERT_TRUE(core::NoteBackup(LocalFileSystem(), data, SystemClock().UnixMillis() - 3 * day).ok());
  {
    const auto server = Server::Start(config, around);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    EXPECT_NEAR(BackupAge(**server), 3 * 86'400, 60);
  }
  {
    const ManualClock behind;  // the machine started with a wrong time, which was corrected since
    const auto server = Server::Start(config, {LocalFileSystem(), behind, log});
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    EXPECT_NEAR(BackupAge(**server), 3 * 86'400, 60);
  }
  ASSERT_TRUE(Backup(data, backup_).ok()) << "no server runs";
  const auto server = Server::Start(config, around);
  ASSERT_TRUE(server.ok()) << server.status().ToString();
  EXPECT_LT(BackupAge(**server), 60);
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), data / "last_backup.json", "{").ok());
  EXPECT_EQ(BackupAge(**server), std::numeric_limits<double>::infinity()) << "not known";
}

TEST_F(Maintenance, LogsThatGoAwayMeanwhileDoNotEndACopy) {
  constexpr int kTasks = 50;
  const Path from = folder_ / "logs";
  std::atomic<int> deleted = 0;
  std::jthread deletes([&](const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      const Path task = from / ("t" + std::to_string(i % kTasks));
      std::filesystem::create_directories(task);
      std::ofstream(task / "1.log") << "x";
      std::error_code ignored;
      std::filesystem::remove_all(from / ("t" + std::to_string((i + kTasks / 2) % kTasks)),
                                  ignored);
      ++deleted;
    }
  });
  while (deleted < 500) {
    const auto copied = CopyFiles(from, folder_ / "copy");
    ASSERT_TRUE(copied.ok()) << copied.status().ToString();
  }
}

TEST_F(Maintenance, CopiesOfTheQueueThatNobodyCameForAreRemoved) {
  const Path copies = folder_ / "data" / "copies";
  const auto names = [&] {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(copies)) {
      found.insert(entry.path().filename().string());
    }
    return found;
  };
  const std::set<std::string> stay = {"queue-schema-5.db", "queue-.db", "queue-7a.db", "queue.db"};
  std::filesystem::create_directories(copies);
  for (const std::string& name : stay) {
    std::ofstream(copies / name) << "x";
  }
  for (const char* const name : {"queue-12.db", "queue-12.db-journal", "queue-1700000000000.db"}) {
    std::ofstream(copies / name) << "x";
  }
  ServerConfig config;
  config.data = folder_ / "data";
  config.listen = "127.0.0.1:0";
  config.http = "127.0.0.1:0";
  std::ostringstream lines;
  telemetry::Log log({telemetry::LogLevel::kError, telemetry::LogFormat::kText}, SystemClock(),
                     lines);
  const auto server = Server::Start(config, {LocalFileSystem(), SystemClock(), log});
  ASSERT_TRUE(server.ok()) << server.status().ToString();
  EXPECT_EQ(names(), stay);
  std::ofstream(copies / "queue-12.db") << "x";
  std::filesystem::last_write_time(
      copies / "queue-12.db",
      std::filesystem::file_time_type::clock::now() - std::chrono::minutes(11));
  const auto copy = AskForCopy(config.data);
  ASSERT_TRUE(copy.ok()) << copy.status().ToString();
  std::set<std::string> with_new = stay;
  with_new.insert(copy->filename().string());
  EXPECT_EQ(names(), with_new);
  const auto another = AskForCopy(config.data);
  ASSERT_TRUE(another.ok()) << another.status().ToString();
  with_new.insert(another->filename().string());
  EXPECT_EQ(names(), with_new) << "the first is still to be taken";
}

TEST_F(Maintenance, FsckNamesWhatIsMissingOrWrong) {
  MakeBackup();
  for (const auto& file : fs::recursive_directory_iterator(backup_ / "blobs" / "complete")) {
    if (file.is_regular_file() && file.file_size() == 3) {
      fs::remove(file.path());
      break;
    }
  }
  {
    const auto database = store::Database::Open((backup_ / "queue.db").string(), {});
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE((*database)->Execute("UPDATE projects SET live_jobs = 9").ok());
  }
  const std::vector<std::string> problems = ProblemsOf(backup_);
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_NE(problems[0].find("default: a project's count"), std::string::npos) << problems[0];
  EXPECT_NE(problems[1].find("is not there: file f of tree"), std::string::npos) << problems[1];
}

// A task without a key keeps a server from starting: what is there to find out why must not need
// what a server does.
TEST_F(Maintenance, FsckTellsOfAQueueThatNoServerCanOpen) {
  MakeBackup();
  {
    const auto database = store::Database::Open((backup_ / "queue.db").string(), {});
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE((*database)
                    ->Execute("PRAGMA ignore_check_constraints = ON; "
                              "UPDATE tasks SET action_key = NULL")
                    .ok());
  }
  const store::SqliteOptions options{.file = backup_ / "queue.db"};
  ASSERT_EQ(store::OpenSqliteQueue(options).status().code(), StatusCode::kDataLoss);
  const auto report = Fsck(backup_, false);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_FALSE(report->problems.empty());
  EXPECT_GT(report->trees, 0) << "the blobs are looked at all the same";
}

TEST_F(Maintenance, DamagedBytesAreFound) {
  MakeBackup();
  for (const auto& file : fs::recursive_directory_iterator(backup_ / "blobs" / "complete")) {
    if (file.is_regular_file() && file.file_size() == 3) {
      ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), file.path(), "xyz").ok());
    }
  }
  EXPECT_TRUE(Fsck(backup_, false)->problems.empty());
  EXPECT_EQ(ProblemsOf(backup_).size(), 2U);
}

TEST_F(Maintenance, FoldersOfOthersAreLeftAlone) {
  EXPECT_EQ(Backup(folder_ / "nothing", backup_).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Fsck(folder_ / "nothing", false).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Restore(folder_ / "nothing", folder_ / "x").status().code(), StatusCode::kNotFound);
  const TestServer server;
  ASSERT_TRUE(LocalFileSystem().CreateDirectories(backup_).ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), backup_ / "thesis.tex", "x").ok());
  EXPECT_EQ(Backup(server.data(), backup_).status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Fsck(server.data(), false).status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tyllm::server::app
