// SPDX-License-Identifier: Apache-2.0
// Lists that are larger than a message.
#include <gtest/gtest.h>

#include <set>

#include "server/rpc/error_details.h"
#include "tests/support/blob_client.h"
#include "tyllm/v1/jobs.grpc.pb.h"

namespace tyllm::server::rpc {
namespace {

using testing::BlobClient;
using testing::CallContext;
using testing::TestServer;

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
