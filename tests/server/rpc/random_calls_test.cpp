// SPDX-License-Identifier: Apache-2.0
// Every method of every service gets requests that nobody would send. Whatever comes, the server
// answers that it is the caller's fault, and serves the next.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/server/rpc/random_message.h"
#include "tests/support/blob_client.h"
#include "tests/support/test_server.h"
#include "tyllm/v1/admin.grpc.pb.h"
#include "tyllm/v1/jobs.grpc.pb.h"
#include "tyllm/v1/workers.grpc.pb.h"

namespace tyllm::testing {
namespace {

using google::protobuf::MethodDescriptor;

constexpr int kCalls = 500;
constexpr std::chrono::milliseconds kCallLimit{250};  // of calls that would wait or follow

std::vector<const MethodDescriptor*> AllMethods() {
  std::vector<const MethodDescriptor*> methods;
  for (const auto* file :
       {v1::SubmitJobRequest::descriptor()->file(), v1::SyncRequest::descriptor()->file(),
        v1::UploadRequest::descriptor()->file(), v1::ListWorkersRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        methods.push_back(file->service(s)->method(m));
      }
    }
  }
  return methods;
}

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

/// Sends bytes to methods, whatever they are.
class AnyCall {
 public:
  explicit AnyCall(const std::shared_ptr<grpc::Channel>& channel) : stub_(channel) {}

  ~AnyCall() {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  grpc::Status Make(const MethodDescriptor& method, const std::vector<std::string>& messages) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallLimit);
    const std::string path = "/" + method.service()->full_name() + "/" + method.name();
    const auto stream = stub_.PrepareCall(&context, path, &queue_);
    stream->StartCall(this);
    bool open = Wait();
    for (std::size_t i = 0; open && i < messages.size(); ++i) {
      stream->Write(BufferOf(messages[i]), this);
      open = Wait();
    }
    if (open) {
      stream->WritesDone(this);
      open = Wait();
    }
    grpc::ByteBuffer answer;
    for (bool more = true; more;) {
      stream->Read(&answer, this);
      more = Wait();
    }
    grpc::Status status;
    stream->Finish(&status, this);
    Wait();
    return status;
  }

 private:
  bool Wait() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
};

// Of an answer that the server gave, and not the library beneath it.
void CheckError(const grpc::Status& status) {
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details())) << status.error_message();
  int infos = 0;
  for (const auto& any : details.details()) {
    infos += any.Is<google::rpc::ErrorInfo>() ? 1 : 0;
  }
  EXPECT_EQ(infos, 1) << status.error_message();
  EXPECT_FALSE(status.error_message().empty());
}

void CheckAnswer(const grpc::Status& status) {
  const grpc::StatusCode code = status.error_code();
  // The last two: it would have waited.
  constexpr std::array kNothingToSay = {grpc::StatusCode::OK, grpc::StatusCode::UNIMPLEMENTED,
                                        grpc::StatusCode::CANCELLED,
                                        grpc::StatusCode::DEADLINE_EXCEEDED};
  if (std::find(kNothingToSay.begin(), kNothingToSay.end(), code) != kNothingToSay.end()) {
    return;
  }
  EXPECT_TRUE(code != grpc::StatusCode::INTERNAL && code != grpc::StatusCode::UNKNOWN &&
              code != grpc::StatusCode::UNAVAILABLE)
      << "code " << code << ": " << status.error_message();
  CheckError(status);
}

class RandomCalls : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  void CheckItServes() {
    const auto jobs = v1::JobService::NewStub(server_.channel());
    CallContext context;
    v1::SubmitJobRequest request;
    request.set_request_id("the last one");
    request.mutable_spec()->set_kind(v1::JOB_KIND_CONVERT);
    request.mutable_spec()->set_name("tiny");
    request.mutable_spec()->set_project("a-project-of-its-own");
    *request.mutable_spec()->mutable_model() = wire::ToProto(tree_);
    v1::SubmitJobResponse response;
    const grpc::Status status = jobs->SubmitJob(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    CallContext again;
    v1::GetServerInfoResponse info;
    EXPECT_TRUE(
        v1::AdminService::NewStub(server_.channel())->GetServerInfo(&again, {}, &info).ok());
  }

  TestServer server_;
  BlobId tree_ = BlobClient(server_.channel()).PutTree("f", "content");
};

TEST_P(RandomCalls, GetAnAnswerAndTheServerServesOn) {
  const std::uint64_t seed = GetParam() == 0 ? std::random_device()() : GetParam();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomMessages messages(seed, tree_);
  AnyCall call(server_.channel());
  const std::vector<const MethodDescriptor*> methods = AllMethods();
  ASSERT_GT(methods.size(), 15U);
  for (int i = 0; i < kCalls; ++i) {
    const MethodDescriptor& method = *methods[static_cast<std::size_t>(
        messages.Below(static_cast<std::int64_t>(methods.size())))];
    SCOPED_TRACE(method.full_name());
    const bool garbage = messages.Below(10) == 0;
    std::vector<std::string> requests;
    const std::int64_t count = method.client_streaming() ? messages.Below(4) : 1;
    for (std::int64_t m = 0; m < count; ++m) {
      const std::unique_ptr<google::protobuf::Message> request(
          google::protobuf::MessageFactory::generated_factory()
              ->GetPrototype(method.input_type())
              ->New());
      messages.Fill(*request);
      requests.push_back(garbage ? messages.Bytes(200) : request->SerializeAsString());
    }
    const grpc::Status status = call.Make(method, requests);
    if (!garbage) {
      CheckAnswer(status);
    }
  }
  CheckItServes();
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomCalls, ::testing::Values(0, 1, 2), [](const auto& seed) {
  return seed.param == 0 ? std::string("fresh") : std::to_string(seed.param);
});

}  // namespace
}  // namespace tyllm::testing
