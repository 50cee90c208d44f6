// SPDX-License-Identifier: Apache-2.0
#include "tests/common/wire/memory_blob_server.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/wire/limits.h"
#include "common/wire/types.h"

namespace tyllm::wire {

namespace {

const grpc::Status kNoSuchMethod{grpc::StatusCode::UNIMPLEMENTED, ""};

void SetError(google::rpc::Status& error, grpc::StatusCode code, const std::string& message) {
  error.set_code(code);
  error.set_message(message);
}

}  // namespace

MemoryBlobServer::MemoryBlobServer(Plan plan) : plan_(std::move(plan)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

MemoryBlobServer::~MemoryBlobServer() {
  server_->Shutdown(std::chrono::system_clock::now());
}

MemoryBlobServer::State MemoryBlobServer::state() {
  auto state = state_.Lock();
  return *state;
}

grpc::Status MemoryBlobServer::FindMissing(grpc::ServerContext* /*context*/,
                                           const v1::FindMissingRequest* request,
                                           v1::FindMissingResponse* response) {
  auto state = state_.Lock();
  for (const v1::BlobId& blob : request->blobs()) {
    if (!state->blobs.contains(*FromProto(blob))) {
      *response->add_missing() = blob;
    }
  }
  return grpc::Status::OK;
}

grpc::Status MemoryBlobServer::QueryUpload(grpc::ServerContext* /*context*/,
                                           const v1::QueryUploadRequest* request,
                                           v1::QueryUploadResponse* response) {
  auto state = state_.Lock();
  ++state->alone;
  response->set_complete(state->blobs.contains(*FromProto(request->blob())));
  return grpc::Status::OK;
}

grpc::Status MemoryBlobServer::Upload(grpc::ServerContext* /*context*/,
                                      grpc::ServerReader<v1::UploadRequest>* reader,
                                      v1::UploadResponse* response) {
  v1::UploadRequest request;
  reader->Read(&request);
  const BlobId id = *FromProto(request.blob());
  std::string data = request.data();
  while (reader->Read(&request)) {
    data += request.data();
  }
  response->set_size(data.size());
  auto state = state_.Lock();
  ++state->alone;
  state->blobs[id] = std::move(data);
  return grpc::Status::OK;
}

grpc::Status MemoryBlobServer::Download(grpc::ServerContext* /*context*/,
                                        const v1::DownloadRequest* request,
                                        grpc::ServerWriter<v1::DownloadResponse>* writer) {
  std::string data;
  {
    auto state = state_.Lock();
    ++state->alone;
    data = state->blobs.at(*FromProto(request->blob())).substr(request->offset());
  }
  for (std::size_t at = 0; at < data.size(); at += kMaxPieceBytes) {
    v1::DownloadResponse response;
    response.set_data(data.substr(at, kMaxPieceBytes));
    writer->Write(response);
  }
  return grpc::Status::OK;
}

int MemoryBlobServer::BeginBatch(grpc::ServerContext& context, int State::* way, int blobs) {
  int number = 0;
  {
    auto state = state_.Lock();
    number = ++((*state).*way);
    state->blobs_in_batches += blobs;
    state->most_running = std::max(state->most_running, ++state->running);
  }
  const auto end = std::chrono::steady_clock::now() + plan_.each_batch;
  while (std::chrono::steady_clock::now() < end && !context.IsCancelled()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return number;
}

grpc::Status MemoryBlobServer::EndBatch(int number) {
  auto state = state_.Lock();
  --state->running;
  return number <= plan_.broken_batches
             ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the connection broke")
             : grpc::Status::OK;
}

grpc::Status MemoryBlobServer::BatchUpload(grpc::ServerContext* context,
                                           const v1::BatchUploadRequest* request,
                                           v1::BatchUploadResponse* response) {
  const int number = BeginBatch(*context, &State::uploads, request->blobs_size());
  if (!plan_.knows_batches) {
    return kNoSuchMethod;
  }
  for (int i = 0; i < request->blobs_size(); ++i) {
    const v1::BlobContent& content = request->blobs(i);
    v1::UploadedBlob& answer = *response->add_blobs();
    *answer.mutable_blob() = content.blob();
    if (!plan_.refused.empty() && content.data() == plan_.refused) {
      SetError(*answer.mutable_error(), grpc::StatusCode::DATA_LOSS, "these are other bytes");
    } else if (number <= plan_.half_batches && i % 2 == 1) {
      SetError(*answer.mutable_error(), grpc::StatusCode::UNAVAILABLE, "busy");
    } else {
      auto state = state_.Lock();
      state->blobs[*FromProto(content.blob())] = content.data();
    }
  }
  return EndBatch(number);
}

grpc::Status MemoryBlobServer::BatchDownload(grpc::ServerContext* context,
                                             const v1::BatchDownloadRequest* request,
                                             v1::BatchDownloadResponse* response) {
  const int number = BeginBatch(*context, &State::downloads, request->blobs_size());
  if (!plan_.knows_batches) {
    return kNoSuchMethod;
  }
  for (int i = 0; i < request->blobs_size(); ++i) {
    v1::DownloadedBlob& answer = *response->add_blobs();
    *answer.mutable_blob() = request->blobs(i);
    auto state = state_.Lock();
    const auto blob = state->blobs.find(*FromProto(request->blobs(i)));
    if (blob == state->blobs.end()) {
      SetError(*answer.mutable_error(), grpc::StatusCode::NOT_FOUND, "no such blob");
    } else if (number <= plan_.half_batches && i % 2 == 1) {
      SetError(*answer.mutable_error(), grpc::StatusCode::UNAVAILABLE, "busy");
    } else {
      answer.set_data(plan_.lies ? "lies" : blob->second);
    }
  }
  return EndBatch(number);
}

}  // namespace tyllm::wire
