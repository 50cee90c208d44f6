// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "common/wire/status.h"
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

  static v1::SetProjectRequest Change(double weight, const std::string& etag,
                                      const std::string& request_id = "") {
    v1::SetProjectRequest request;
    request.mutable_project()->set_name("vision");
    request.mutable_project()->set_weight(weight);
    request.set_etag(etag);
    request.set_request_id(request_id);
    return request;
  }

  grpc::Status Set(const v1::SetProjectRequest& request, v1::Project& project) {
    CallContext context;
    v1::SetProjectResponse response;
    grpc::Status status = admin_->SetProject(&context, request, &response);
    project = response.project();
    return status;
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

TEST_F(ProjectCalls, TwoAdministratorsLoseNothingOfEachOther) {
  v1::Project project;
  ASSERT_TRUE(Set(Change(2, "default"), project).ok());
  const std::string read = project.etag();
  const grpc::Status late = Set(Change(3, "default"), project);
  EXPECT_EQ(late.error_code(), grpc::ABORTED);
  EXPECT_EQ(wire::ReasonOf(late), "ETAG_MISMATCH");
  EXPECT_EQ(wire::FromGrpc(late).facts().at("etag"), read);
  EXPECT_EQ(wire::FromGrpc(late).facts().at("project"), "vision");
  ASSERT_TRUE(Set(Change(3, read), project).ok());
  EXPECT_EQ(project.weight(), 3);
  EXPECT_NE(project.etag(), read);
  CallContext context;
  v1::ListProjectsResponse listed;
  ASSERT_TRUE(admin_->ListProjects(&context, {}, &listed).ok());
  EXPECT_EQ(listed.projects(0).project().etag(), "default");
  EXPECT_EQ(listed.projects(1).project().etag(), project.etag());
}

TEST_F(ProjectCalls, ARepeatedChangeIsMadeOnce) {
  v1::Project project;
  ASSERT_TRUE(Set(Change(2, "", "once"), project).ok());
  ASSERT_TRUE(Set(Change(5, ""), project).ok());
  ASSERT_TRUE(Set(Change(2, "", "once"), project).ok());
  EXPECT_EQ(project.weight(), 5) << "as somebody else has set it since";
  const grpc::Status other = Set(Change(7, "", "once"), project);
  EXPECT_EQ(other.error_code(), grpc::ALREADY_EXISTS);
  EXPECT_EQ(wire::ReasonOf(other), "REQUEST_ID_REUSED");
  EXPECT_EQ(Set(Change(2, "", std::string(65, 'x')), project).error_code(), grpc::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tyllm::server::rpc
