// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>

#include "client/api/connect.h"
#include "client/api/farm.h"
#include "client/api/submission.h"
#include "common/base/guarded.h"
#include "common/wire/jobs.h"
#include "common/wire/status.h"
#include "tests/support/paths.h"
#include "tyllm/v1/jobs.grpc.pb.h"

// What a client does about a server that answers badly, or not at all.
namespace tyllm::client {
namespace {

/// Says what it is told to say, one answer a call, then OK; and keeps jobs by request id.
class ScriptedServer : public v1::JobService::Service {
 public:
  ScriptedServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  ~ScriptedServer() override { server_->Shutdown(); }

  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  void Say(std::deque<grpc::Status> answers) {
    auto script = script_.Lock();
    script->answers = std::move(answers);
  }

  void SetVersion(const std::string& version) {
    auto script = script_.Lock();
    script->version = version;
  }

  /// What becomes of the newest job; nothing: it is deleted.
  void End(std::optional<v1::JobState> state) {
    auto script = script_.Lock();
    v1::Job& job = script->jobs.rbegin()->second;
    job.set_state(state.value_or(v1::JOB_STATE_UNSPECIFIED));
  }

  int calls() {
    auto script = script_.Lock();
    return script->calls;
  }

  grpc::Status GetJob(grpc::ServerContext* /*context*/, const v1::GetJobRequest* /*request*/,
                      v1::GetJobResponse* response) override {
    const grpc::Status status = Next();
    *response->mutable_job() = wire::ToProto(domain::JobView{.id = domain::JobId{7}});
    return status;
  }

  grpc::Status WatchJob(grpc::ServerContext* /*context*/, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::WatchJobResponse>* writer) override {
    const grpc::Status status = Next();
    domain::JobEvent event;
    event.number = request->after_event() + 1;
    event.job_state = status.ok() ? domain::JobState::kSucceeded : domain::JobState::kRunning;
    writer->Write(wire::ToProto(event));
    return status;
  }

  grpc::Status GetCapabilities(grpc::ServerContext* /*context*/,
                               const v1::GetCapabilitiesRequest* /*request*/,
                               v1::GetCapabilitiesResponse* response) override {
    auto script = script_.Lock();
    response->set_server_version(script->version);
    return grpc::Status::OK;
  }

  grpc::Status SubmitJob(grpc::ServerContext* /*context*/, const v1::SubmitJobRequest* request,
                         v1::SubmitJobResponse* response) override {
    auto script = script_.Lock();
    const auto made = std::ranges::find(script->requests, request->request_id());
    const auto number = static_cast<int>(made - script->requests.begin());
    if (made != script->requests.end()) {
      if (script->jobs[number].state() == v1::JOB_STATE_UNSPECIFIED) {
        return wire::ToGrpc(NotFound("there is no job"));
      }
      response->set_already_made(true);
    } else {
      domain::JobView job;
      job.id = domain::JobId{number + 1};
      job.spec.name = "m";
      script->requests.push_back(request->request_id());
      script->jobs[number] = wire::ToProto(job);
    }
    *response->mutable_job() = script->jobs[number];
    return grpc::Status::OK;
  }

 private:
  struct Script {
    std::deque<grpc::Status> answers;
    int calls = 0;
    std::string version = "1.0";
    std::vector<std::string> requests;
    std::map<int, v1::Job> jobs;
  };

  grpc::Status Next() {
    auto script = script_.Lock();
    ++script->calls;
    if (script->answers.empty()) {
      return grpc::Status::OK;
    }
    grpc::Status status = script->answers.front();
    script->answers.pop_front();
    return status;
  }

  int port_ = 0;
  Guarded<Script> script_;
  std::unique_ptr<grpc::Server> server_;
};

class Persistence : public ::testing::Test {
 protected:
  Farm MakeFarm(Milliseconds patience = std::chrono::seconds(20)) {
    return Farm(grpc::CreateChannel(server_.address(), grpc::InsecureChannelCredentials()),
                server_.address(), SystemClock(), patience);
  }

  ScriptedServer server_;
  std::stop_source stop_;
};

grpc::Status DiskFull(std::int64_t retry_delay_ms) {
  return wire::ToGrpc(ResourceExhausted("the disk is full"), {.retry_delay_ms = retry_delay_ms});
}

TEST_F(Persistence, ACallGoesOnWhileTheServerIsSilentBrokenOrFullForAMoment) {
  server_.Say({wire::ToGrpc(Unavailable("starting")),
               grpc::Status(grpc::DEADLINE_EXCEEDED, "Deadline Exceeded"),
               grpc::Status(grpc::INTERNAL, "Received RST_STREAM with error code 2"),
               grpc::Status(grpc::UNKNOWN, "Stream removed"), DiskFull(100)});
  Farm farm = MakeFarm();
  const auto job = farm.Get(domain::JobId{7}, stop_.get_token());
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(server_.calls(), 6);
}

TEST_F(Persistence, WhatWouldNotGoBetterIsNotTriedAgain) {
  Farm farm = MakeFarm();
  const std::vector<Status> answers = {
      InvalidArgument("wrong"),          NotFound("none"),     Aborted("it has changed"),
      FailedPrecondition("not now"),     Internal("a defect"), DataLoss("other bytes"),
      ResourceExhausted("quota: spent"), AlreadyExists("used")};
  for (const Status& answer : answers) {
    const int before = server_.calls();
    server_.Say({wire::ToGrpc(answer)});
    EXPECT_EQ(farm.Get(domain::JobId{7}, stop_.get_token()).status().code(), answer.code());
    EXPECT_EQ(server_.calls(), before + 1) << answer.ToString();
  }
}

TEST_F(Persistence, AServerThatAsksForMorePatienceThanThereIsHasTheLastWord) {
  server_.Say({DiskFull(30'000)});
  Farm farm = MakeFarm(std::chrono::seconds(5));
  const Status status = farm.Get(domain::JobId{7}, stop_.get_token()).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "the disk is full");
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(Persistence, AServerThatIsSilentForTooLongIsNamed) {
  server_.Say(std::deque<grpc::Status>(100, grpc::Status(grpc::DEADLINE_EXCEEDED, "too late")));
  Farm farm = MakeFarm(Milliseconds(700));
  const Status status = farm.Get(domain::JobId{7}, stop_.get_token()).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_NE(status.message().find(server_.address() + " does not answer (too late)"),
            std::string::npos)
      << status.message();
  EXPECT_LE(server_.calls(), 4);
}

TEST_F(Persistence, WhoShowsNoCertificateIsToldThatTheServerMayWantOne) {
  const std::string certificates = std::string(testing::kTestData) + "/wire/";
  const auto said = [&](const wire::TlsFiles& tls) {
    const auto farm = Connect({.server = server_.address(), .security = {.tls = tls}},
                              SystemClock(), Milliseconds(300));
    EXPECT_TRUE(farm.ok()) << farm.status().ToString();
    return (*farm)->Get(domain::JobId{7}, stop_.get_token()).status().message();
  };
  const std::string advice = "--tls-cert and --tls-key";
  const std::string without = said({.ca = certificates + "ca.pem"});
  EXPECT_NE(without.find("does not answer"), std::string::npos) << without;
  EXPECT_NE(without.find(advice), std::string::npos) << without;
  const std::string with =
      said({certificates + "ca.pem", certificates + "client.pem", certificates + "client.key"});
  EXPECT_NE(with.find("does not answer"), std::string::npos) << with;
  EXPECT_EQ(with.find(advice), std::string::npos) << with;
}

TEST_F(Persistence, AWatchThatHearsSomethingNowAndThenIsNeverTiredOfReconnecting) {
  // Six pauses are longer than the patience; every stream tells an event.
  server_.Say(std::deque<grpc::Status>(
      6, grpc::Status(grpc::INTERNAL, "Received RST_STREAM with error code 2")));
  Farm farm = MakeFarm(Milliseconds(1000));
  std::vector<std::int64_t> numbers;
  const auto end = farm.Watch(
      domain::JobId{7}, 0, [&](const domain::JobEvent& event) { numbers.push_back(event.number); },
      stop_.get_token());
  ASSERT_TRUE(end.ok()) << end.status().ToString();
  EXPECT_EQ(*end, domain::JobState::kSucceeded);
  EXPECT_EQ(numbers, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7}));
}

class Submitting : public Persistence {
 protected:
  Submission Submit() {
    auto made = SubmitOnce(farm_, {.request_id = {}, .spec = spec_}, stop_.get_token());
    EXPECT_TRUE(made.ok()) << made.status().ToString();
    return *std::move(made);
  }

  Farm farm_ = MakeFarm();
  domain::JobSpec spec_ = {.name = "m"};
};

TEST_F(Submitting, TheSameRequestFindsItsJobWhileItRunsAndWhenItHasSucceeded) {
  const Submission first = Submit();
  EXPECT_FALSE(first.submitted.already_made);
  EXPECT_EQ(first.request_id, RequestIdOf(spec_, "1.0", 0));
  server_.End(v1::JOB_STATE_RUNNING);
  EXPECT_TRUE(Submit().submitted.already_made);
  server_.End(v1::JOB_STATE_SUCCEEDED);
  const Submission again = Submit();
  EXPECT_TRUE(again.submitted.already_made);
  EXPECT_EQ(again.submitted.job.id, first.submitted.job.id);
  EXPECT_EQ(again.request_id, first.request_id);
}

TEST_F(Submitting, AJobThatCameToNothingHasASuccessorThatIsFoundAgain) {
  Submit();
  int number = 0;
  for (const auto& state :
       {std::optional(v1::JOB_STATE_FAILED), std::optional(v1::JOB_STATE_CANCELLED),
        std::optional(v1::JOB_STATE_CANCELLING), std::optional<v1::JobState>()}) {
    server_.End(state);
    const Submission next = Submit();
    EXPECT_FALSE(next.submitted.already_made);
    EXPECT_EQ(next.request_id, RequestIdOf(spec_, "1.0", ++number));
    EXPECT_TRUE(Submit().submitted.already_made);
  }
}

TEST_F(Submitting, AnotherRequestOrAnotherToolchainMakesAnotherJob) {
  Submit();
  server_.SetVersion("1.1");
  EXPECT_FALSE(Submit().submitted.already_made);
  spec_.labels["by"] = "me";
  EXPECT_FALSE(Submit().submitted.already_made);
  EXPECT_LE(RequestIdOf(spec_, "1.0", 9999).size(), 64U);
}

}  // namespace
}  // namespace tyllm::client
