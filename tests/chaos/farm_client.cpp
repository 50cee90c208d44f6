// SPDX-License-Identifier: Apache-2.0
#include "tests/chaos/farm_client.h"

#include <grpcpp/client_context.h>

#include "common/wire/channel.h"
#include "common/wire/deadline.h"
#include "common/wire/limits.h"
#include "common/wire/status.h"
#include "common/wire/types.h"

namespace tyllm::testing {

struct FarmClient::Context : grpc::ClientContext {
  explicit Context(std::chrono::milliseconds limit) { set_deadline(wire::DeadlineIn(limit)); }
};

FarmClient::FarmClient(const std::string& address, std::chrono::milliseconds limit)
    : limit_(limit),
      channel_(*wire::MakeChannel(address, {})),
      jobs_(v1::JobService::NewStub(channel_)),
      blobs_(v1::BlobService::NewStub(channel_)),
      workers_(v1::WorkerService::NewStub(channel_)),
      admin_(v1::AdminService::NewStub(channel_)) {}

Result<v1::Job> FarmClient::Submit(const v1::SubmitJobRequest& request) {
  Context context(limit_);
  v1::SubmitJobResponse response;
  TYLLM_TRY(wire::FromGrpc(jobs_->SubmitJob(&context, request, &response)));
  return response.job();
}

Result<v1::Job> FarmClient::Cancel(const std::string& job) {
  Context context(limit_);
  v1::CancelJobRequest request;
  request.set_job_id(job);
  v1::CancelJobResponse response;
  TYLLM_TRY(wire::FromGrpc(jobs_->CancelJob(&context, request, &response)));
  return response.job();
}

Result<v1::Job> FarmClient::Update(const v1::UpdateJobRequest& request) {
  Context context(limit_);
  v1::UpdateJobResponse response;
  TYLLM_TRY(wire::FromGrpc(jobs_->UpdateJob(&context, request, &response)));
  return response.job();
}

Result<v1::Job> FarmClient::Retry(const v1::RetryJobRequest& request) {
  Context context(limit_);
  v1::RetryJobResponse response;
  TYLLM_TRY(wire::FromGrpc(jobs_->RetryJob(&context, request, &response)));
  return response.job();
}

Status FarmClient::Delete(const v1::DeleteJobRequest& request) {
  Context context(limit_);
  v1::DeleteJobResponse response;
  return wire::FromGrpc(jobs_->DeleteJob(&context, request, &response));
}

Result<v1::Job> FarmClient::Get(const std::string& job) {
  Context context(limit_);
  v1::GetJobRequest request;
  request.set_job_id(job);
  v1::GetJobResponse response;
  TYLLM_TRY(wire::FromGrpc(jobs_->GetJob(&context, request, &response)));
  return response.job();
}

Result<std::vector<v1::Job>> FarmClient::List() {
  std::vector<v1::Job> all;
  v1::ListJobsRequest request;
  request.set_page_size(200);
  do {
    Context context(limit_);
    v1::ListJobsResponse response;
    TYLLM_TRY(wire::FromGrpc(jobs_->ListJobs(&context, request, &response)));
    all.insert(all.end(), response.jobs().begin(), response.jobs().end());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

Result<std::string> FarmClient::ReadLog(const std::string& task, int attempt, std::int64_t offset) {
  Context context(limit_);
  v1::ReadLogRequest request;
  request.set_task_id(task);
  request.set_attempt(attempt);
  request.set_offset(offset);
  const auto stream = jobs_->ReadLog(&context, request);
  std::string bytes;
  v1::ReadLogResponse response;
  while (stream->Read(&response)) {
    bytes += response.data();
  }
  TYLLM_TRY(wire::FromGrpc(stream->Finish()));
  return bytes;
}

Result<std::vector<v1::Worker>> FarmClient::Workers() {
  Context context(limit_);
  v1::ListWorkersResponse response;
  TYLLM_TRY(wire::FromGrpc(admin_->ListWorkers(&context, {}, &response)));
  return std::vector<v1::Worker>(response.workers().begin(), response.workers().end());
}

Status FarmClient::Upload(const std::string& content) {
  Context context(limit_);
  v1::UploadResponse response;
  const auto stream = blobs_->Upload(&context, &response);
  v1::UploadRequest request;
  *request.mutable_blob() = BlobIdOf(content);
  bool more = stream->Write(request);
  for (std::size_t at = 0; more && at < content.size(); at += wire::kMaxPieceBytes) {
    v1::UploadRequest data;
    data.set_data(content.substr(at, wire::kMaxPieceBytes));
    more = stream->Write(data);
  }
  stream->WritesDone();
  return wire::FromGrpc(stream->Finish());
}

Result<std::string> FarmClient::Download(const v1::BlobId& blob) {
  Context context(limit_);
  v1::DownloadRequest request;
  *request.mutable_blob() = blob;
  const auto stream = blobs_->Download(&context, request);
  std::string content;
  v1::DownloadResponse response;
  while (stream->Read(&response)) {
    content += response.data();
  }
  TYLLM_TRY(wire::FromGrpc(stream->Finish()));
  return content;
}

Result<v1::SyncResponse> FarmClient::Sync(const v1::SyncRequest& request) {
  Context context(limit_ + std::chrono::milliseconds(request.wait_ms()));
  v1::SyncResponse response;
  TYLLM_TRY(wire::FromGrpc(workers_->Sync(&context, request, &response)));
  return response;
}

Result<std::int64_t> FarmClient::AppendLog(const v1::AppendLogRequest& request) {
  Context context(limit_);
  v1::AppendLogResponse response;
  TYLLM_TRY(wire::FromGrpc(workers_->AppendLog(&context, request, &response)));
  return response.size();
}

v1::BlobId BlobIdOf(const std::string& content) {
  return wire::ToProto(BlobId{DigestOf(content), content.size()});
}

}  // namespace tyllm::testing
