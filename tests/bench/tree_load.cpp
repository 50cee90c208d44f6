// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/tree_load.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <random>
#include <string>

#include "common/format/tree.h"
#include "common/wire/blob_transfer.h"
#include "common/wire/blobs.h"
#include "common/wire/status.h"
#include "tyllm/v1/blobs.grpc.pb.h"

namespace tyllm::bench {

namespace {

namespace fs = std::filesystem;

constexpr Milliseconds kPatience{60'000};

Result<format::Tree> MakeFiles(const fs::path& folder, const TreeLoad& load) {
  static std::mt19937_64 random{std::random_device{}()};
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (std::int64_t i = 0; i < load.files; ++i) {
    std::string content(static_cast<std::size_t>(load.bytes), '\0');
    for (char& byte : content) {
      byte = static_cast<char>(random());
    }
    std::ofstream(folder / std::to_string(i), std::ios::binary) << content;
  }
  ::sync();  // the disk is not still writing them while it is measured
  return format::ScanTree(folder);
}

template <typename Move>
Result<double> Timed(const Move& move) {
  const auto begin = std::chrono::steady_clock::now();
  TYLLM_TRY(move());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Blob after blob.
class OneByOne {
 public:
  explicit OneByOne(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::BlobService::NewStub(channel)) {}

  Status Send(const format::Tree& tree, const fs::path& folder) {
    for (const format::TreeEntry& entry : tree.entries) {
      TYLLM_ASSIGN(const std::string content, LocalFileSystem().Read(folder / entry.path));
      TYLLM_TRY(SendOne(entry.blob, content));
    }
    return OkStatus();
  }

  Status Fetch(const format::Tree& tree, const fs::path& folder) {
    FileSystem& files = LocalFileSystem();
    TYLLM_TRY(files.CreateDirectories(folder));
    for (const format::TreeEntry& entry : tree.entries) {
      const Path part = folder / (entry.path + ".part");
      TYLLM_ASSIGN(const std::string content, FetchOne(entry.blob));
      TYLLM_ASSIGN(const std::unique_ptr<OutputFile> file, files.Create(part));
      TYLLM_TRY(file->Append(content));
      TYLLM_TRY(file->Sync());
      TYLLM_TRY(file->Close());
      TYLLM_TRY(files.Rename(part, folder / entry.path));
    }
    return OkStatus();
  }

 private:
  Status SendOne(const BlobId& blob, const std::string& content) {
    grpc::ClientContext asking;
    v1::QueryUploadRequest query;
    *query.mutable_blob() = wire::ToProto(blob);
    v1::QueryUploadResponse there;
    TYLLM_TRY(wire::FromGrpc(stub_->QueryUpload(&asking, query, &there)));
    grpc::ClientContext sending;
    v1::UploadResponse response;
    const auto stream = stub_->Upload(&sending, &response);
    v1::UploadRequest request;
    *request.mutable_blob() = wire::ToProto(blob);
    stream->Write(request);
    request.Clear();
    request.set_data(content);
    stream->Write(request);
    stream->WritesDone();
    return wire::FromGrpc(stream->Finish());
  }

  Result<std::string> FetchOne(const BlobId& blob) {
    grpc::ClientContext context;
    v1::DownloadRequest request;
    *request.mutable_blob() = wire::ToProto(blob);
    const auto stream = stub_->Download(&context, request);
    std::string content;
    v1::DownloadResponse response;
    while (stream->Read(&response)) {
      content += response.data();
    }
    TYLLM_TRY(wire::FromGrpc(stream->Finish()));
    return content;
  }

  std::unique_ptr<v1::BlobService::Stub> stub_;
};

}  // namespace

Result<TreeTimes> MoveTree(const MeasuredServer& server, const fs::path& folder,
                           const TreeLoad& load) {
  TYLLM_ASSIGN(const format::Tree tree, MakeFiles(folder / "from", load));
  fs::remove_all(folder / "to");
  wire::BlobTransfer transfer(server.Connect(), SystemClock(), kPatience);
  const auto silent = [](std::uint64_t, std::uint64_t) {};
  TreeTimes times;
  TYLLM_ASSIGN(times.up_seconds,
               Timed([&] { return transfer.UploadTree(tree, folder / "from", silent, {}); }));
  TYLLM_ASSIGN(times.down_seconds,
               Timed([&] { return transfer.DownloadTree(tree, folder / "to", silent, {}); }));
  return times;
}

Result<TreeTimes> MoveTreeOneByOne(const MeasuredServer& server, const fs::path& folder,
                                   const TreeLoad& load) {
  TYLLM_ASSIGN(const format::Tree tree, MakeFiles(folder / "from", load));
  fs::remove_all(folder / "to");
  OneByOne calls(server.Connect());
  TreeTimes times;
  TYLLM_ASSIGN(times.up_seconds, Timed([&] { return calls.Send(tree, folder / "from"); }));
  TYLLM_ASSIGN(times.down_seconds, Timed([&] { return calls.Fetch(tree, folder / "to"); }));
  return times;
}

}  // namespace tyllm::bench
