// SPDX-License-Identifier: Apache-2.0
// Agents in this process, a whole server, and jobs that a shell script plays: what a worker does
// with its tasks, and what becomes of them when it goes away.
#include "worker/agent/agent.h"

#include <gtest/gtest.h>

#include <csignal>
#include <future>
#include <sstream>

#include "common/base/pause.h"
#include "tests/support/blob_client.h"
#include "tests/support/test_server.h"
#include "tests/worker/agent/stand_in_toolchain.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"

namespace tyllm::agent {
namespace {

using testing::CallContext;

constexpr int kPolls = 1500;  // of 20 ms: when a test gives up

server::app::ServerConfig ServerWithShortLease() {
  server::app::ServerConfig config;
  config.lease_seconds = 5;
  config.lease_grace_seconds = 60;
  return config;
}

/// An agent that runs on a thread of its own until it is stopped or leaves.
class RunningAgent {
 public:
  RunningAgent(const AgentConfig& config, const std::string& address)
      : log_({telemetry::LogLevel::kDebug, telemetry::LogFormat::kText}, SystemClock(), lines_) {
    auto agent = Agent::Create(config, *wire::MakeChannel(address, {}),
                               *wire::MakeChannel(address, {}), SystemClock(), log_);
    EXPECT_TRUE(agent.ok()) << agent.status().ToString();
    agent_ = *std::move(agent);
    ended_ = std::async(std::launch::async,
                        [this] { return agent_->Run(stop_.get_token(), orphaned_.get_token()); });
  }

  ~RunningAgent() {
    if (ended_.valid()) {
      (void)Stop();
    }
    if (::testing::Test::HasFailure()) {
      std::cerr << lines_.str();
    }
  }

  Status Stop() {
    stop_.request_stop();
    return ended_.get();
  }

  /// As a worker whose own server was killed.
  Status Orphan() {
    orphaned_.request_stop();
    const Status status = Stop();
    agent_.reset();  // with its folder
    return status;
  }

  /// Of one that leaves by itself.
  Status Wait() {
    EXPECT_EQ(ended_.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    return Stop();
  }

 private:
  std::ostringstream lines_;
  telemetry::Log log_;
  std::unique_ptr<Agent> agent_;
  std::stop_source stop_;
  std::stop_source orphaned_;
  std::future<Status> ended_;
};

class AgentTest : public ::testing::Test {
 protected:
  AgentConfig Config(const std::string& name) {
    AgentConfig config;
    config.server = server_.server().grpc_address();
    config.name = name;
    config.work = folder_ / name;
    config.toolchain = tool_.program();
    config.checkpoint = Milliseconds(30);
    config.grace = Milliseconds(200);
    config.farewell = Milliseconds(10'000);
    return config;
  }

  std::unique_ptr<RunningAgent> Start(const AgentConfig& config) {
    return std::make_unique<RunningAgent>(config, config.server);
  }

  std::unique_ptr<RunningAgent> Start(const std::string& name) { return Start(Config(name)); }

  /// A quantization that the stand-in carries out as `name` says; its job's id.
  std::string Submit(const std::string& name) {
    CallContext context;
    v1::SubmitJobRequest request;
    request.set_request_id("request-" + std::to_string(++requests_));
    request.mutable_spec()->set_kind(v1::JOB_KIND_QUANTIZE);
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->set_no_cache(true);
    *request.mutable_spec()->mutable_model() = wire::ToProto(blobs_.PutTree("config.json", "{}"));
    v1::SubmitJobResponse response;
    const grpc::Status status = jobs_->SubmitJob(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job().id();
  }

  v1::Job Get(const std::string& id) {
    CallContext context;
    v1::GetJobRequest request;
    request.set_job_id(id);
    v1::GetJobResponse response;
    const grpc::Status status = jobs_->GetJob(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job();
  }

  /// Polls until `ready()`; a failure of the test when that takes too long.
  void WaitUntil(const std::string& what, const std::function<bool()>& ready) {
    for (int i = 0; i < kPolls; ++i) {
      if (ready()) {
        return;
      }
      PauseFor(Milliseconds(20), {});
    }
    FAIL() << "gave up waiting: " << what;
  }

  v1::Job WaitForEnd(const std::string& id) {
    v1::Job job;
    WaitUntil("the job's end", [&] {
      job = Get(id);
      return job.ended_unix_ms() > 0;
    });
    EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.ShortDebugString();
    return job;
  }

  void WaitForGate(const std::string& gate) {
    WaitUntil("gate " + gate, [&] { return tool_.Reached(gate).has_value(); });
  }

  void SetMode(const std::string& worker, v1::WorkerMode mode) {
    CallContext context;
    v1::SetWorkerModeRequest request;
    request.set_worker(worker);
    request.set_mode(mode);
    request.set_reason("the test wants it");
    v1::SetWorkerModeResponse response;
    const grpc::Status status = admin_->SetWorkerMode(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  /// The log of a job's only task, of one attempt.
  std::string LogOf(const v1::Job& job, std::int32_t attempt) {
    CallContext context;
    v1::ReadLogRequest request;
    request.set_task_id(job.tasks(0).id());
    request.set_attempt(attempt);
    const auto stream = jobs_->ReadLog(&context, request);
    std::string log;
    for (v1::ReadLogResponse piece; stream->Read(&piece);) {
      log += piece.data();
    }
    return log;
  }

  testing::TestServer server_{ServerWithShortLease()};
  testing::TemporaryDirectory folder_;
  testing::StandInToolchain tool_{folder_.path()};
  testing::BlobClient blobs_{server_.channel()};
  std::unique_ptr<v1::JobService::Stub> jobs_ = v1::JobService::NewStub(server_.channel());
  std::unique_ptr<v1::AdminService::Stub> admin_ = v1::AdminService::NewStub(server_.channel());
  int requests_ = 0;
};

TEST_F(AgentTest, ATaskIsRunAndItsOutputAndLogAreOnTheServer) {
  const auto agent = Start("w1");
  const v1::Job job = WaitForEnd(Submit("plain"));
  EXPECT_EQ(job.outputs().size(), 1U);
  EXPECT_EQ(LogOf(job, 1), "stand-in runs plain\n");
}

TEST_F(AgentTest, TheServerIsToldWhatTheToolchainIsAndTheWorkerHas) {
  AgentConfig config = Config("w1");
  config.labels = {{"zone", "north"}};
  config.kinds = {domain::TaskKind::kQuantize};
  config.memory_bytes = 12345;
  const auto agent = Start(config);
  v1::ListWorkersResponse workers;
  WaitUntil("the worker to call", [&] {
    CallContext context;
    EXPECT_TRUE(admin_->ListWorkers(&context, {}, &workers).ok());
    return workers.workers_size() == 1;
  });
  const v1::Capabilities& is = workers.workers(0).capabilities();
  EXPECT_EQ(is.toolchain_version(), "stand-in");
  EXPECT_EQ(is.dies(), 3);
  EXPECT_EQ(is.device(), "cpu");
  EXPECT_EQ(is.gpus(), 0);
  EXPECT_EQ(is.memory_bytes(), 12345);
  EXPECT_GT(is.disk_free_bytes(), 0);
  EXPECT_EQ(is.labels().at("zone"), "north");
  ASSERT_EQ(is.kinds_size(), 1);
  EXPECT_EQ(is.kinds(0), v1::TASK_KIND_QUANTIZE);
}

TEST_F(AgentTest, AnotherWorkerGoesOnFromTheLastCheckpointOfOneThatIsGone) {
  const auto first = Start("w1");
  const std::string id = Submit("layers");
  WaitForGate("layer1");
  tool_.Open("layer1");
  WaitForGate("layer2");
  WaitUntil("the checkpoint", [&] { return Get(id).tasks(0).checkpoint().done() == 2; });
  SetMode("w1", v1::WORKER_MODE_KILLED);
  EXPECT_TRUE(first->Wait().ok());
  const auto second = Start("w2");
  WaitForGate("layer3");
  tool_.Open("layer3");
  const v1::Job job = WaitForEnd(id);
  EXPECT_EQ(job.tasks(0).attempt(), 2);
  EXPECT_EQ(LogOf(job, 2), "stand-in runs layers\nmakes layer 3\n");
  // The same bytes as of a run that nothing interrupted.
  for (const char* const gate : {"layer1", "layer2", "layer3"}) {
    tool_.Open(gate);
  }
  const v1::Job whole = WaitForEnd(Submit("layers"));
  EXPECT_EQ(whole.outputs().at("model").sha256(), job.outputs().at("model").sha256());
}

TEST_F(AgentTest, ProgressThatComesAfterItsFilesIsToldWithTheCheckpointThatHasThem) {
  const auto agent = Start("w1");
  const std::string id = Submit("late");
  const auto checkpoint = [&] { return Get(id).tasks(0).checkpoint(); };
  WaitForGate("first");
  WaitUntil("the first checkpoint", [&] { return checkpoint().done() == 1; });
  const std::string before = checkpoint().tree().sha256();
  tool_.Open("first");
  WaitUntil("both files", [&] { return checkpoint().tree().sha256() != before; });
  EXPECT_EQ(checkpoint().done(), 1);
  tool_.Open("file");
  WaitUntil("the progress", [&] { return checkpoint().done() == 2; });
  tool_.Open("told");
  WaitForEnd(id);
}

TEST_F(AgentTest, AStoppedWorkerHandsBackAllThatWasFinished) {
  AgentConfig config = Config("w1");
  config.checkpoint = std::chrono::hours(1);  // none before the end
  auto first = Start(config);
  const std::string id = Submit("layers");
  tool_.Open("layer1");
  WaitForGate("layer2");
  EXPECT_TRUE(first->Stop().ok());
  const v1::Job handed_back = Get(id);
  EXPECT_EQ(handed_back.tasks(0).state(), v1::TASK_STATE_QUEUED);
  EXPECT_EQ(handed_back.tasks(0).checkpoint().done(), 2);
  tool_.Open("layer3");
  const auto second = Start("w2");
  EXPECT_EQ(LogOf(WaitForEnd(id), 2), "stand-in runs layers\nmakes layer 3\n");
}

TEST_F(AgentTest, ACheckpointThatIsGoneMeansToBeginAnew) {
  const auto first = Start("w1");
  const std::string id = Submit("layers");
  WaitForGate("layer1");
  WaitUntil("the checkpoint", [&] { return Get(id).tasks(0).checkpoint().done() == 1; });
  SetMode("w1", v1::WORKER_MODE_KILLED);
  EXPECT_TRUE(first->Wait().ok());
  const BlobId tree = *wire::FromProto(Get(id).tasks(0).checkpoint().tree());
  std::filesystem::path blob;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(server_.data())) {
    blob = entry.path().filename() == tree.sha256.Hex() ? entry.path() : blob;
  }
  ASSERT_TRUE(std::filesystem::remove(blob)) << blob;
  for (const char* const gate : {"layer1", "layer2", "layer3"}) {
    tool_.Open(gate);
  }
  const auto second = Start("w2");
  EXPECT_NE(LogOf(WaitForEnd(id), 2).find("makes layer 1"), std::string::npos);
}

TEST_F(AgentTest, ADrainingWorkerFinishesWhatItHasAndLeaves) {
  const auto agent = Start("w1");
  const std::string running = Submit("wait");
  WaitForGate("end");
  SetMode("w1", v1::WORKER_MODE_DRAINING);
  const std::string waiting = Submit("plain");
  tool_.Open("end");
  EXPECT_TRUE(agent->Wait().ok());
  EXPECT_EQ(Get(running).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(Get(running).tasks(0).attempt(), 1);
  EXPECT_EQ(Get(waiting).state(), v1::JOB_STATE_QUEUED);
}

TEST_F(AgentTest, AKilledWorkerEndsAtOnceAlsoWithAJobThatDoesNotListen) {
  AgentConfig config = Config("w1");
  config.grace = std::chrono::hours(1);
  const auto agent = Start(config);
  const std::string id = Submit("stubborn");
  WaitForGate("end");
  SetMode("w1", v1::WORKER_MODE_KILLED);
  EXPECT_TRUE(agent->Wait().ok());
  EXPECT_NE(::kill(*tool_.Reached("end"), 0), 0) << "the job still runs";
  EXPECT_EQ(Get(id).tasks(0).state(), v1::TASK_STATE_QUEUED) << "handed back";
}

TEST_F(AgentTest, WithoutTheServerWorkGoesOnUntilTheLeaseEndsAndIsThenStopped) {
  AgentConfig config = Config("w1");
  config.grace = std::chrono::hours(1);
  config.farewell = Milliseconds(500);
  const auto agent = Start(config);
  Submit("stubborn");
  WaitForGate("end");
  EXPECT_TRUE(server_.server().Stop().ok());
  const pid_t job = *tool_.Reached("end");
  const auto stopped = SystemClock().Now();
  EXPECT_EQ(::kill(job, 0), 0) << "a lost connection alone stops nothing";
  WaitUntil("the job to be stopped", [&] { return ::kill(job, 0) != 0; });
  EXPECT_LT(SystemClock().Now() - stopped, std::chrono::seconds(25));
}

TEST_F(AgentTest, TheNextTaskBeginsWhileAnOutputIsOnItsWay) {
  const auto agent = Start("w1");  // of one slot
  const std::string large = Submit("large");
  const std::string next = Submit("plain");
  const v1::Job first = WaitForEnd(large);
  const v1::Job second = WaitForEnd(next);
  EXPECT_LT(second.tasks(0).started_unix_ms(), first.tasks(0).ended_unix_ms());
}

TEST_F(AgentTest, TasksRunBesideEachOtherInTheWorkersSlots) {
  AgentConfig config = Config("w1");
  config.slots = 2;
  const auto agent = Start(config);
  const std::string one = Submit("wait");
  WaitForGate("end");
  EXPECT_EQ(WaitForEnd(Submit("plain")).tasks(0).worker(), "w1");
  EXPECT_EQ(Get(one).tasks(0).state(), v1::TASK_STATE_RUNNING);
  tool_.Open("end");
  WaitForEnd(one);
}

TEST_F(AgentTest, AnOrphanLeavesWithoutACallAndItsSuccessorHandsItsTaskBack) {
  AgentConfig config = Config("w1");
  config.grace = std::chrono::hours(1);
  config.farewell = std::chrono::hours(1);
  const auto first = Start(config);
  const std::string id = Submit("layers");
  WaitForGate("layer1");
  WaitUntil("the checkpoint", [&] { return Get(id).tasks(0).checkpoint().done() == 1; });
  const auto orphaned = SystemClock().Now();
  EXPECT_TRUE(first->Orphan().ok());
  EXPECT_LT(SystemClock().Now() - orphaned, std::chrono::seconds(10));
  EXPECT_EQ(Get(id).tasks(0).state(), v1::TASK_STATE_RUNNING) << "nobody has told the server";
  for (const char* const gate : {"layer2", "layer3"}) {
    tool_.Open(gate);
  }
  const auto second = Start(config);
  const v1::Job job = WaitForEnd(id);
  EXPECT_LT(SystemClock().Now() - orphaned, std::chrono::seconds(30)) << "the lease was waited for";
  EXPECT_EQ(LogOf(job, 2), "stand-in runs layers\nmakes layer 2\nmakes layer 3\n");
  CallContext context;
  v1::ExplainJobRequest request;
  request.set_job_id(id);
  v1::ExplainJobResponse explained;
  ASSERT_TRUE(jobs_->ExplainJob(&context, request, &explained).ok());
  const v1::AttemptRecord& attempt = explained.tasks(0).attempts(0);
  EXPECT_EQ(attempt.ending(), v1::ATTEMPT_ENDING_RETURNED) << attempt.ShortDebugString();
  EXPECT_FALSE(attempt.counted());
  EXPECT_FALSE(std::filesystem::exists(config.work / "unreturned.json")) << "told for ever";
}

TEST_F(AgentTest, AFolderBelongsToOneWorker) {
  const auto agent = Start("w1");
  const Status second = WorkFolder::Open(folder_ / "w1").status();
  EXPECT_EQ(second.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(second.message().find("w1"), std::string::npos);
  EXPECT_NE(second.message().find("process " + std::to_string(::getpid())), std::string::npos)
      << second.message();
}

TEST_F(AgentTest, AFolderIsWaitedForWhileTheOneThatHasItLeaves) {
  auto agent = Start("w1");
  std::future<Status> second = std::async(std::launch::async, [this] {
    return WorkFolder::Open(folder_ / "w1", std::chrono::seconds(30)).status();
  });
  EXPECT_TRUE(agent->Orphan().ok());
  const Status status = second.get();
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST_F(AgentTest, AWorkerThatTheServerDoesNotTakeEndsAndSaysWhy) {
  AgentConfig config = Config("w1");
  config.name = std::string(65, 'w');
  const Status status = Start(config)->Wait();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
  EXPECT_NE(status.message().find("expected 1 to 64 printable"), std::string::npos)
      << status.message();
}

TEST_F(AgentTest, AnIdleWorkerThatStopsIsNotOnlineAnyMore) {
  const auto online = [this] {
    CallContext context;
    v1::ListWorkersResponse workers;
    EXPECT_TRUE(admin_->ListWorkers(&context, {}, &workers).ok());
    return workers.workers_size() == 1 && workers.workers(0).online();
  };
  const auto agent = Start("w1");
  WaitUntil("the worker's first call", online);
  EXPECT_TRUE(agent->Stop().ok());
  EXPECT_FALSE(online());
}

TEST_F(AgentTest, AWorkerWhoseNameAnotherHasTakenLeaves) {
  const auto first = Start("w1");
  WaitForEnd(Submit("plain"));
  AgentConfig config = Config("w1");
  config.work = folder_ / "elsewhere";
  const auto second = Start(config);
  WaitForEnd(Submit("plain"));
  EXPECT_EQ(first->Wait().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tyllm::agent
