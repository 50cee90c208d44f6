// SPDX-License-Identifier: Apache-2.0
// The real program: start, stop, kill, restart.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "common/base/child_process.h"
#include "common/base/guarded.h"
#include "common/base/version.h"
#include "common/format/json.h"
#include "server/app/worker_command.h"
#include "server/blobs/folder_blob_store.h"
#include "server/store/sqlite_queue.h"
#include "tests/support/blob_client.h"
#include "tests/support/http_get.h"
#include "tests/support/metric_value.h"
#include "tests/support/paths.h"
#include "tyllm/v1/jobs.grpc.pb.h"

namespace tyllm::server::app {
namespace {

using testing::BlobClient;
using testing::CallContext;
using testing::TemporaryDirectory;

const std::string kProgram = std::string(testing::kProgramFolder) + "/tyllm-server";
constexpr std::chrono::seconds kPatience(60);

/// Looks again and again, because another process decides when.
template <typename Condition>
bool Becomes(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return condition();
}

/// False also for what ended and was not reaped: an orphan's new parent may not care.
bool Runs(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text.substr(name_end + 2, 1) != "Z";
}

class ServerProcess : public ::testing::Test {
 protected:
  std::vector<std::string> Command(std::vector<std::string> more = {}) const {
    std::vector<std::string> argv = {kProgram,      "--data", folder_ / "data", "--listen",
                                     "127.0.0.1:0", "--http", "127.0.0.1:0"};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }

  /// Starts it and waits until it says where it listens.
  void Start(std::vector<std::string> more = {}) {
    auto child = ChildProcess::Spawn({Command(std::move(more)), {}, {}, {}});
    ASSERT_TRUE(child.ok()) << child.status().ToString();
    child_.emplace(*std::move(child));
    const Path path = folder_ / "data/server.json";
    ASSERT_TRUE(Becomes([&] {
      const auto json = format::ReadJsonFile(path);
      return json.ok() && (*json)["pid"] == child_->pid();
    })) << "no server.json of this process";
    channel_ = *wire::MakeChannel((*format::ReadJsonFile(path))["grpc"], {});
  }

  ExitStatus Stop(int signal) {
    ::kill(child_->pid(), signal);
    const auto exit = child_->Wait(kPatience);
    EXPECT_TRUE(exit.ok()) << exit.status().ToString();
    child_.reset();
    return exit.ok() ? *exit : ExitStatus{-1, 0};
  }

  Result<std::string> Submit(const BlobId& model, const std::string& request_id) {
    CallContext context;
    v1::SubmitJobRequest request;
    request.set_request_id(request_id);
    request.mutable_spec()->set_kind(v1::JOB_KIND_CONVERT);
    request.mutable_spec()->set_name(request_id);
    *request.mutable_spec()->mutable_model() = wire::ToProto(model);
    v1::SubmitJobResponse response;
    const auto stub = v1::JobService::NewStub(channel_);
    const grpc::Status status = stub->SubmitJob(&context, request, &response);
    if (!status.ok()) {
      return Unavailable(status.error_message());
    }
    return response.job().id();
  }

  TemporaryDirectory folder_;
  std::optional<ChildProcess> child_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(ServerProcess, SigtermEndsItCleanly) {
  Start();
  const ExitStatus exit = Stop(SIGTERM);
  EXPECT_TRUE(exit.ok()) << exit.ToString();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data/server.json"));
  Start();  // and it starts again on the same data
  EXPECT_TRUE(Stop(SIGINT).ok());
}

// A FIFO that nobody reads in place of a file is a disk that hangs.
TEST_F(ServerProcess, CallsThatHangOnTheDiskDoNotKeepItFromEnding) {
  Start({"--shutdown-grace-seconds", "0"});
  std::vector<std::thread> uploads;
  for (int i = 0; i < 4; ++i) {  // as many as there are threads for transfers
    const BlobId blob = testing::BlobOf("content " + std::to_string(i));
    const Path file = folder_ / "data/blobs/partial" /
                      (blob.sha256.Hex() + "-" + std::to_string(blob.size) + ".0");
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    uploads.emplace_back([channel = channel_, blob] {
      EXPECT_FALSE(BlobClient(channel).Upload(blob, std::string(blob.size, 'x')).ok());
    });
  }
  const auto stub = v1::BlobService::NewStub(channel_);
  EXPECT_TRUE(Becomes([&] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
    v1::QueryUploadRequest request;
    *request.mutable_blob() = wire::ToProto(testing::BlobOf("another"));
    v1::QueryUploadResponse response;
    return stub->QueryUpload(&context, request, &response).error_code() ==
           grpc::StatusCode::DEADLINE_EXCEEDED;
  }));
  const ExitStatus exit = Stop(SIGTERM);
  EXPECT_EQ(exit.code, 4) << exit.ToString();
  for (std::thread& upload : uploads) {
    upload.join();
  }
  std::filesystem::remove_all(folder_ / "data/blobs/partial");
  Start();  // with all that it had
  EXPECT_TRUE(Stop(SIGTERM).ok());
}

TEST_F(ServerProcess, ItSaysWhereItListensInOneLine) {
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe.ok());
  auto child = ChildProcess::Spawn({Command(), {}, {}, {{pipe->write.get(), 1}}});
  ASSERT_TRUE(child.ok());
  pipe->write.Reset();
  std::string line;
  char byte = 0;
  while (::read(pipe->read.get(), &byte, 1) == 1 && byte != '\n') {
    line += byte;
  }
  EXPECT_TRUE(line.starts_with("listening grpc=127.0.0.1:")) << line;
  EXPECT_NE(line.find(" http=127.0.0.1:"), std::string::npos) << line;
}

unsigned RightsOf(const Path& path) {
  struct stat info{};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777U;
}

TEST_F(ServerProcess, OthersCannotReadItsData) {
  Start();
  EXPECT_EQ(RightsOf(folder_ / "data"), 0700U);
  EXPECT_EQ(RightsOf(folder_ / "data/queue.db"), 0600U);
  EXPECT_TRUE(Stop(SIGTERM).ok());
  ::chmod((folder_ / "data").c_str(), 0755);
  Start();
  EXPECT_EQ(RightsOf(folder_ / "data"), 0750U) << "the group's are its owner's to give";
  EXPECT_TRUE(Stop(SIGTERM).ok());
}

TEST_F(ServerProcess, ASecondServerOnTheSameDataIsRefused) {
  Start();
  const auto second = RunCommand({Command(), {}, {}, {}}, kPatience);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->exit.code, 7) << second->output;
  EXPECT_NE(second->output.find("another tyllm-server is running on the data folder"),
            std::string::npos)
      << second->output;
}

TEST_F(ServerProcess, BadSettingsEndItWithExitCodeTwo) {
  for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
           {"--lease-seconds", "0"}, {"--no-such-flag"}, {"--listen", "nowhere"}}) {
    const auto outcome = RunCommand({Command(bad), {}, {}, {}}, kPatience);
    ASSERT_TRUE(outcome.ok());
    EXPECT_EQ(outcome->exit.code, 2) << outcome->output;
  }
  const auto elsewhere = RunCommand(
      {{kProgram, "--data", folder_ / "data", "--listen", "0.0.0.0:0", "--http", "127.0.0.1:0"},
       {},
       {},
       {}},
      kPatience);
  ASSERT_TRUE(elsewhere.ok());
  EXPECT_EQ(elsewhere->exit.code, 2) << elsewhere->output;
  EXPECT_NE(elsewhere->output.find("would not be encrypted"), std::string::npos);
}

TEST_F(ServerProcess, KilledInTheMiddleOfSubmissionsItStillHasEveryAcknowledgedJob) {
  std::map<std::string, std::string> acknowledged;  // request -> job
  BlobId model;
  for (int round = 0; round < 3; ++round) {
    Start();
    model = BlobClient(channel_).PutTree("config.json", "{}");
    std::vector<std::thread> clients;
    Guarded<std::map<std::string, std::string>> answers;
    for (int c = 0; c < 4; ++c) {
      clients.emplace_back([&, c] {
        for (int i = 0; true; ++i) {
          const std::string request =
              "r" + std::to_string(round) + "-" + std::to_string(c) + "-" + std::to_string(i);
          const auto job = Submit(model, request);
          if (!job.ok()) {
            return;  // the server is gone
          }
          auto view = answers.Lock();
          (*view)[request] = *job;
        }
      });
    }
    EXPECT_TRUE(Becomes([&] {
      auto view = answers.Lock();
      return view->size() >= 20;
    }));
    EXPECT_EQ(Stop(SIGKILL).signal, SIGKILL);
    for (std::thread& client : clients) {
      client.join();
    }
    auto view = answers.Lock();
    acknowledged.insert(view->begin(), view->end());
  }
  Start();
  std::set<std::string> jobs;
  for (const auto& [request, job] : acknowledged) {
    const auto again = Submit(model, request);
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_EQ(*again, job) << request << " was acknowledged as another job";
    EXPECT_TRUE(jobs.insert(job).second) << job << " was given to two requests";
  }
  EXPECT_TRUE(Stop(SIGTERM).ok());
}

/// A data folder whose queue has a result and jobs that wait for nothing but to be given it, as a
/// server leaves it that was killed when the result had come.
class ServerWithResults : public ServerProcess {
 protected:
  static constexpr int kWaiting = 2000;

  void MakeQueue() {
    const Path data = folder_ / "data";
    std::filesystem::create_directories(data);
    const auto blobs = blobs::OpenFolderBlobStore(LocalFileSystem(), data / "blobs", SystemClock());
    ASSERT_TRUE(blobs.ok()) << blobs.status().ToString();
    const BlobId model = PutTree(**blobs, "config.json", "{}");
    result_ = PutTree(**blobs, "model.safetensors", "made");
    const auto queue = store::OpenSqliteQueue(
        {.file = data / "queue.db", .toolchain_version = std::string(Version())});
    ASSERT_TRUE(queue.ok()) << queue.status().ToString();
    ASSERT_TRUE((*queue)->Begin().ok());
    store::NewJob job{.request_id = "first", .spec = {}, .plan = {}};
    job.spec.kind = domain::JobKind::kConvert;
    job.spec.name = "demo";
    job.spec.model = model;
    job.plan = domain::PlanJob(job.spec);
    const domain::WorkerSession worker{"gpu1", "s1"};
    ASSERT_TRUE((*queue)->Enqueue(job, 1000).ok());
    ASSERT_TRUE((*queue)->StartSession(worker, {}, 1000).ok());
    const auto lease = (*queue)->StartAttempt({1}, worker, 1000);
    ASSERT_TRUE(lease.ok()) << lease.status().ToString();
    const auto done = (*queue)->Complete(
        lease->id, {.output = result_, .bytes = 4, .toolchain_version = std::string(Version())},
        2000);
    ASSERT_TRUE(done.ok() && *done) << done.status().ToString();
    for (int i = 0; i < kWaiting; ++i) {
      job.request_id = "r" + std::to_string(i);
      ASSERT_TRUE((*queue)->Enqueue(job, 3000).ok());
    }
    EXPECT_EQ((*queue)->CacheHits({.limit = 9999})->size(), 1U);  // the first of its lane
    ASSERT_TRUE((*queue)->Commit().ok());
  }

  v1::JobState StateOfLast() {
    CallContext context;
    v1::GetJobRequest request;
    request.set_job_id("j" + std::to_string(kWaiting + 1));
    v1::GetJobResponse response;
    const grpc::Status status =
        v1::JobService::NewStub(channel_)->GetJob(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job().state();
  }

  BlobId result_;

 private:
  static BlobId PutTree(blobs::BlobStore& blobs, const std::string& path,
                        const std::string& content) {
    const auto file = blobs.WriteSmall(content);
    const format::Tree tree{{{.path = path, .blob = *file}}};
    return *blobs.WriteSmall(format::ToText(tree));
  }
};

TEST_F(ServerWithResults, ItIsStoppedAmidThemAndGoesOnAfterAStart) {
  MakeQueue();
  Start();
  const auto begun = std::chrono::steady_clock::now();
  const ExitStatus exit = Stop(SIGTERM);
  EXPECT_TRUE(exit.ok()) << exit.ToString();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
  Start();
  EXPECT_TRUE(Becomes([&] { return StateOfLast() == v1::JOB_STATE_SUCCEEDED; }));
  EXPECT_TRUE(Stop(SIGTERM).ok());
}

TEST_F(ServerWithResults, AResultThatRottedKeepsItNotFromStarting) {
  MakeQueue();
  const std::string hex = result_.sha256.Hex();
  {
    std::fstream bytes(folder_ / "data/blobs/complete" / hex.substr(0, 2) / hex,
                       std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(20);
    bytes.put('#');
  }
  Start();
  EXPECT_EQ(StateOfLast(), v1::JOB_STATE_QUEUED);
  EXPECT_TRUE(
      Becomes([&] { return std::filesystem::exists(folder_ / "data/blobs/corrupt" / hex); }));
  EXPECT_EQ(StateOfLast(), v1::JOB_STATE_QUEUED) << "it waits for a worker";
  EXPECT_TRUE(Stop(SIGTERM).ok());
}

class ServerWithWorker : public ServerProcess {
 protected:
  /// A program in the worker's place that notes that it was started, then does `then`.
  std::string FakeWorker(const std::string& then) {
    const std::string path = folder_ / "fake-worker";
    std::ofstream(path) << "#!/bin/sh\necho \"$$ $*\" >>" << (folder_ / "starts").string() << "\n"
                        << then << "\n";
    ::chmod(path.c_str(), 0755);
    return path;
  }

  std::vector<std::string> Starts() {
    std::ifstream file(folder_ / "starts");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
      lines.push_back(line);
    }
    return lines;
  }
};

TEST_F(ServerWithWorker, TheWorkerIsPointedAtTheServerAndStoppedWithIt) {
  Start({"--with-worker", "--worker-slots", "3", "--worker-program", FakeWorker("exec sleep 600")});
  ASSERT_TRUE(Becomes([&] { return Starts().size() == 1; }));
  const std::string line = Starts()[0];
  const std::string grpc = (*format::ReadJsonFile(folder_ / "data/server.json"))["grpc"];
  EXPECT_NE(line.find("--server " + grpc), std::string::npos) << line;
  EXPECT_NE(line.find("--slots 3"), std::string::npos) << line;
  const pid_t worker = static_cast<pid_t>(std::stol(line));
  EXPECT_TRUE(Stop(SIGTERM).ok());
  EXPECT_FALSE(Runs(worker));
}

TEST_F(ServerWithWorker, WithTlsTheWorkerCallsOverTheLocalSocketAndOthersNeedACertificate) {
  const std::string certificates = std::string(testing::kTestData) + "/wire/";
  Start({"--with-worker", "--worker-program", FakeWorker("exec sleep 600"), "--tls-cert",
         certificates + "server.pem", "--tls-key", certificates + "server.key", "--tls-ca",
         certificates + "ca.pem"});
  ASSERT_TRUE(Becomes([&] { return Starts().size() == 1; }));
  const std::string socket = "unix:" + std::string(folder_ / "data/worker.sock");
  EXPECT_NE(Starts()[0].find("--server " + socket), std::string::npos) << Starts()[0];
  EXPECT_EQ(RightsOf(folder_ / "data/worker.sock"), 0600U);
  const std::string grpc = (*format::ReadJsonFile(folder_ / "data/server.json"))["grpc"];
  const auto answer = [&](const std::string& address, const wire::Security& security) {
    channel_ = *wire::MakeChannel(address, security);
    return Submit({}, "request").status().message();
  };
  const std::string missing = "model is absent";  // the server has read the request
  EXPECT_NE(answer(socket, {}).find(missing), std::string::npos) << answer(socket, {});
  wire::Security client;
  client.tls = {certificates + "ca.pem", certificates + "client.pem", certificates + "client.key"};
  EXPECT_NE(answer(grpc, client).find(missing), std::string::npos) << answer(grpc, client);
  const std::string http = (*format::ReadJsonFile(folder_ / "data/server.json"))["http"];
  const std::string remaining = testing::MetricValue(testing::HttpGet(http, "/metrics").body,
                                                     "tyllm_certificate_remaining_seconds");
  constexpr double kEnd = 4'949'001'408;  // of server.pem, seconds since 1970
  EXPECT_NEAR(std::stod(remaining), kEnd - static_cast<double>(std::time(nullptr)), 60);
  client.tls.certificate.clear();
  client.tls.key.clear();
  EXPECT_EQ(answer(grpc, client).find(missing), std::string::npos);
  EXPECT_TRUE(Stop(SIGTERM).ok());
}

TEST_F(ServerWithWorker, TheWorkersConnectionIsNotThatOfTheServersEnvironment) {
  const std::string certificates = std::string(testing::kTestData) + "/wire/";
  ::setenv("TYLLM_TLS_CA", (certificates + "ca.pem").c_str(), 1);
  Start({"--with-worker", "--worker-program",
         std::string(testing::kProgramFolder) + "/tyllm-worker"});
  ::unsetenv("TYLLM_TLS_CA");
  const std::string http = (*format::ReadJsonFile(folder_ / "data/server.json"))["http"];
  EXPECT_TRUE(Becomes([&] {
    return testing::MetricValue(testing::HttpGet(http, "/metrics").body,
                                "tyllm_workers{state=\"online\"}") == "1";
  }));
  EXPECT_TRUE(Stop(SIGTERM).ok());
}

TEST_F(ServerWithWorker, TheWorkerHasItsNameAndItsTimeToStopFromTheServer) {
  EXPECT_EQ(EmbeddedName("host"), "host-embedded");
  EXPECT_EQ(EmbeddedName(std::string(55, 'h')), std::string(55, 'h') + "-embedded");
  const std::string longer = EmbeddedName(std::string(56, 'h'));
  EXPECT_EQ(longer.size(), 64U);
  EXPECT_TRUE(longer.ends_with("-embedded")) << longer;
  EXPECT_NE(longer, EmbeddedName(std::string(57, 'h')));
  Start({"--with-worker", "--worker-program", FakeWorker("exec sleep 600")});
  ASSERT_TRUE(Becomes([&] { return Starts().size() == 1; }));
  EXPECT_NE(Starts()[0].find("--stop-seconds 20 "), std::string::npos) << Starts()[0];
  EXPECT_GT(kWorkerStopLimit, kWorkerFarewell);
  EXPECT_TRUE(Stop(SIGTERM).ok());
}

TEST_F(ServerWithWorker, AWorkerThatDiesIsStartedAgain) {
  Start({"--with-worker", "--worker-program", FakeWorker("exit 1")});
  EXPECT_TRUE(Becomes([&] { return Starts().size() >= 3; }));
  EXPECT_TRUE(Stop(SIGTERM).ok());
}

TEST_F(ServerWithWorker, AWorkerProgramThatIsNotThereIsNamed) {
  const auto outcome = RunCommand(
      {Command({"--with-worker", "--worker-program", "/no/such/worker"}), {}, {}, {}}, kPatience);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->exit.code, 3) << outcome->output;
  EXPECT_NE(outcome->output.find("/no/such/worker"), std::string::npos);
}

TEST_F(ServerWithWorker, TheRealWorkerEndsWhenTheServerIsKilled) {
  Start({"--with-worker", "--worker-program",
         std::string(testing::kProgramFolder) + "/tyllm-worker"});
  const std::string children = "/proc/" + std::to_string(child_->pid()) + "/task/" +
                               std::to_string(child_->pid()) + "/children";
  pid_t worker = 0;
  ASSERT_TRUE(Becomes([&] { return bool(std::ifstream(children) >> worker); }));
  EXPECT_EQ(Stop(SIGKILL).signal, SIGKILL);
  EXPECT_TRUE(Becomes([&] { return !Runs(worker); })) << "an orphan stays behind";
}

}  // namespace
}  // namespace tyllm::server::app
