// SPDX-License-Identifier: Apache-2.0
// Lists that are larger than a message.
#include <gtest/gtest.h>

#include <set>

#include "server/rpc/error_details.h"
#include "tests/support/blob_client.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::server::rpc {
namespace {

using testing::BlobClient;
using testing::CallContext;
using testing::TestServer;

/// A server that some workers have called.
class WorkerLists : public ::testing::Test {
 protected:
  void Call(const std::string& name, const std::string& zone) {
    CallContext context;
    v1::SyncRequest request;
    request.set_worker(name);
    request.set_session("s");
    (*request.mutable_capabilities()->mutable_labels())["zone"] = zone;
    v1::SyncResponse response;
    const auto workers = v1::WorkerService::NewStub(server_.channel());
    const grpc::Status status = workers->Sync(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  /// The names of each page.
  std::vector<std::string> Pages(v1::ListWorkersRequest request) {
    std::vector<std::string> pages;
    do {
      CallContext context;
      v1::ListWorkersResponse page;
      const grpc::Status status = admin_->ListWorkers(&context, request, &page);
      EXPECT_TRUE(status.ok()) << status.error_message();
      std::string names;
      for (const v1::Worker& worker : page.workers()) {
        names += (names.empty() ? "" : " ") + worker.name();
      }
      pages.push_back(names);
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return pages;
  }

  TestServer server_;
  std::unique_ptr<v1::AdminService::Stub> admin_ = v1::AdminService::NewStub(server_.channel());
};

TEST_F(WorkerLists, WorkersComeByNameInPagesThroughAFilter) {
  using Names = std::vector<std::string>;
  for (const char* const name : {"w5", "w1", "w4", "w2", "w3"}) {
    Call(name, name[1] < '4' ? "a" : "b");
  }
  v1::ListWorkersRequest request;
  EXPECT_EQ(Pages(request), Names{"w1 w2 w3 w4 w5"});
  request.set_page_size(2);
  EXPECT_EQ(Pages(request), (Names{"w1 w2", "w3 w4", "w5"}));
  (*request.mutable_labels())["zone"] = "a";
  EXPECT_EQ(Pages(request), (Names{"w1 w2", "w3"}));
  (*request.mutable_labels())["zone"] = "";
  request.set_page_size(5);
  EXPECT_EQ(Pages(request), Names{"w1 w2 w3 w4 w5"}) << "nothing comes after a full last page";
  (*request.mutable_labels())["rack"] = "";
  EXPECT_EQ(Pages(request), Names{""});

  CallContext context;
  v1::SetWorkerModeRequest cordon;
  cordon.set_worker("w3");
  cordon.set_mode(v1::WORKER_MODE_CORDONED);
  v1::SetWorkerModeResponse cordoned;
  ASSERT_TRUE(admin_->SetWorkerMode(&context, cordon, &cordoned).ok());
  v1::ListWorkersRequest by_mode;
  by_mode.set_online_only(true);
  by_mode.add_modes(v1::WORKER_MODE_CORDONED);
  EXPECT_EQ(Pages(by_mode), Names{"w3"});
}

TEST_F(WorkerLists, ATokenBelongsToItsFilter) {
  Call("w1", "a");
  Call("w2", "a");
  v1::ListWorkersRequest request;
  request.set_page_size(1);
  CallContext first;
  v1::ListWorkersResponse page;
  ASSERT_TRUE(admin_->ListWorkers(&first, request, &page).ok());
  request.set_page_token(page.next_page_token());
  request.set_online_only(true);
  CallContext second;
  const grpc::Status other = admin_->ListWorkers(&second, request, &page);
  EXPECT_EQ(other.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_NE(other.error_message().find("page_token"), std::string::npos) << other.error_message();
  v1::ListWorkersRequest negative;
  negative.set_page_size(-1);
  CallContext third;
  EXPECT_EQ(admin_->ListWorkers(&third, negative, &page).error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(WorkerLists, ProjectsComeInPagesToo) {
  for (const char* const name : {"b", "a", "c"}) {
    CallContext context;
    v1::SetProjectRequest request;
    request.mutable_project()->set_name(name);
    v1::SetProjectResponse response;
    ASSERT_TRUE(admin_->SetProject(&context, request, &response).ok());
  }
  std::string names;
  v1::ListProjectsRequest request;
  request.set_page_size(3);
  do {
    CallContext context;
    v1::ListProjectsResponse page;
    ASSERT_TRUE(admin_->ListProjects(&context, request, &page).ok());
    for (const v1::ProjectUse& use : page.projects()) {
      names += use.project().name() + " ";
    }
    names += "| ";
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(names, "a b c | default | ");
}

TEST(ListCalls, AListThatIsTooLargeForAMessageComesInMorePages) {
  constexpr int kJobs = 140;  // of more than 32 KiB each: 4.6 MB
  TestServer server;
  const BlobId model = BlobClient(server.channel()).PutTree("config.json", "{}");
  const auto jobs = v1::JobService::NewStub(server.channel());
  v1::SubmitJobRequest submit;
  submit.mutable_spec()->set_kind(v1::JOB_KIND_CONVERT);
  submit.mutable_spec()->set_name("large");
  *submit.mutable_spec()->mutable_model() = wire::ToProto(model);
  for (int i = 0; i < 64; ++i) {
    const std::string key = std::to_string(i) + std::string(250, 'k');
    (*submit.mutable_spec()->mutable_labels())[key] = std::string(256, 'v');
  }
  std::set<std::string> made;
  for (int i = 0; i < kJobs; ++i) {
    submit.set_request_id("r" + std::to_string(i));
    CallContext context;
    v1::SubmitJobResponse response;
    const grpc::Status status = jobs->SubmitJob(&context, submit, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    made.insert(response.job().id());
  }
  std::set<std::string> found;
  int pages = 0;
  v1::ListJobsRequest request;
  request.set_page_size(1000);
  do {
    CallContext context;
    v1::ListJobsResponse page;
    const grpc::Status status = jobs->ListJobs(&context, request, &page);
    ASSERT_TRUE(status.ok()) << status.error_message();
    for (const v1::Job& job : page.jobs()) {
      EXPECT_TRUE(found.insert(job.id()).second) << job.id() << " is on two pages";
    }
    request.set_page_token(page.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(found, made);
  EXPECT_GE(pages, 2);
}

TEST(ListCalls, AnAnswerThatIsTooLargeIsNotWorthAnotherTry) {
  EXPECT_FALSE(DetailsFor("AdminService.ListWorkers", AnswerTooLarge(5 << 20)).retry_delay_ms);
  EXPECT_TRUE(DetailsFor("AdminService.ListWorkers", ResourceExhausted("the disk is full"))
                  .retry_delay_ms.has_value());
}

}  // namespace
}  // namespace tyllm::server::rpc
