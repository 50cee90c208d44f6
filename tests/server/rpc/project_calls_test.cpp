// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/support/blob_client.h"
#include "tyllm/v1/admin.grpc.pb.h"

namespace tyllm::server::rpc {
namespace {

using testing::CallContext;
using testing::TestServer;

class ProjectCalls : public ::testing::Test {
 protected:
  grpc::Status Set(const v1::Project& project, v1::SetProjectResponse& response) {
    CallContext context;
    v1::SetProjectRequest request;
    *request.mutable_project() = project;
    return admin_->SetProject(&context, request, &response);
  }

  TestServer server_;
  std::unique_ptr<v1::AdminService::Stub> admin_ = v1::AdminService::NewStub(server_.channel());
};

TEST_F(ProjectCalls, AProjectIsSetAndListedWithWhatItGets) {
  v1::Project project;
  project.set_name("vision");
  project.set_weight(3);
  project.set_max_running_tasks(4);
  v1::SetProjectResponse set;
  const grpc::Status status = Set(project, set);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(set.project().weight(), 3);
  CallContext context;
  v1::ListProjectsResponse listed;
  ASSERT_TRUE(admin_->ListProjects(&context, {}, &listed).ok());
  ASSERT_EQ(listed.projects_size(), 2);
  EXPECT_EQ(listed.projects(0).project().name(), "default");
  EXPECT_EQ(listed.projects(1).project().name(), "vision");
  EXPECT_EQ(listed.projects(1).project().max_running_tasks(), 4);
  EXPECT_FALSE(listed.projects(1).project().has_max_queued_jobs());
}

TEST_F(ProjectCalls, AWrongProjectIsNamed) {
  v1::Project project;
  project.set_name("vision");
  project.set_weight(-1);
  v1::SetProjectResponse set;
  const grpc::Status status = Set(project, set);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("weight is -1"), std::string::npos);
}

}  // namespace
}  // namespace tyllm::server::rpc
