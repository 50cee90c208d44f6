// SPDX-License-Identifier: Apache-2.0
#include "common/wire/blob_transfer.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/base/write_together.h"
#include "common/wire/blob_calls.h"
#include "common/wire/limits.h"
#include "common/wire/side_by_side.h"
#include "common/wire/transfer_retry.h"

namespace tyllm::wire {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestTreeText = 64 << 20;
// Files, or batches of them, that move at a time: while one waits for a disk another crosses.
constexpr std::size_t kAtATime = 4;

Result<bool> IsThere(const Path& file, const BlobId& blob, const std::stop_token& stop) {
  std::error_code error;
  if (fs::file_size(file, error) != blob.size || error) {
    return false;
  }
  const Result<BlobId> found = DigestOfFile(file, stop);
  if (stop.stop_requested()) {
    return Cancelled("transfer stopped");
  }
  return found.ok() && *found == blob;
}

Status SetMode(const Path& file, bool executable) {
  std::error_code error;
  if (executable) {
    fs::permissions(file, fs::perms(0755), error);
  }
  return error ? FromErrno(error.value(), "making " + file.string() + " executable") : OkStatus();
}

Path PartOf(const Path& target) {
  Path part = target;
  part += ".part";
  return part;
}

bool IsSmall(const format::TreeEntry& entry) {
  return entry.blob.size <= kMaxBatchedBlobBytes;
}

/// In what moves at one time: a large file, or as many small ones as a call takes.
template <typename Entries>
std::vector<Entries> Cut(const Entries& entries) {
  std::vector<Entries> parts;
  Entries small;
  std::uint64_t bytes = 0;
  for (const format::TreeEntry* const entry : entries) {
    if (!IsSmall(*entry)) {
      parts.push_back({entry});
      continue;
    }
    if (bytes + entry->blob.size > kMaxBatchBytes || small.size() == kMaxBatchBlobs) {
      parts.push_back(std::exchange(small, {}));
      bytes = 0;
    }
    small.push_back(entry);
    bytes += entry->blob.size;
  }
  if (!small.empty()) {
    parts.push_back(small);
  }
  return parts;
}

// What ends the whole transfer is told rather than what may go by.
void KeepWorse(Status& error, const Status& other) {
  if (error.ok() || (WorthAnotherTry(error) && !other.ok() && !WorthAnotherTry(other))) {
    error = other;
  }
}

// Files that came together, at their names; what each ended with.
template <typename Entries>
std::vector<Status> Keep(const Entries& entries, const std::vector<Result<std::string>>& came,
                         const Path& directory) {
  FileSystem& files = LocalFileSystem();
  std::vector<SmallFile> right;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (came[i].ok()) {
      right.push_back({PartOf(directory / entries[i]->path), *came[i]});
    }
  }
  const std::vector<Status> written = WriteTogether(files, right);
  auto next = written.begin();
  std::vector<Status> ended;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Path target = directory / entries[i]->path;
    Status status = came[i].ok() ? *next++ : came[i].status();
    if (status.ok()) {
      status = files.Rename(PartOf(target), target);
    }
    if (status.ok()) {
      status = SetMode(target, entries[i]->executable);
    }
    ended.push_back(status.Annotate("fetching " + target.string()));
  }
  return ended;
}

/// Small files that move together, and what is left of them.
template <typename Entries>
class Batch {
 public:
  Batch(Entries& left, MovedBytes& moved) : left_(left), moved_(moved) {}

  std::uint64_t arrived() const { return arrived_; }

  /// The worst of what they ended with.
  Status Note(const std::vector<Status>& ended) {
    Status error;
    Entries rest;
    for (std::size_t i = 0; i < left_.size(); ++i) {
      if (ended[i].ok()) {
        arrived_ += left_[i]->blob.size;
      } else {
        rest.push_back(left_[i]);
        KeepWorse(error, ended[i]);
      }
    }
    left_ = std::move(rest);
    moved_.Set(arrived_);
    return error;
  }

 private:
  Entries& left_;
  MovedBytes::Part moved_;
  std::uint64_t arrived_ = 0;
};

}  // namespace

BlobTransfer::BlobTransfer(std::shared_ptr<grpc::Channel> channel, const Clock& clock,
                           Milliseconds patience, Sender sender)
    : calls_(std::make_unique<Calls>(channel, sender)), clock_(clock), patience_(patience) {}

BlobTransfer::~BlobTransfer() = default;

Result<std::set<BlobId>> BlobTransfer::FindMissing(const format::Tree& tree,
                                                   const std::stop_token& stop) {
  std::vector<BlobId> ids;
  for (const format::TreeEntry& entry : tree.entries) {
    ids.push_back(entry.blob);
  }
  std::set<BlobId> missing;
  TransferRetry asking(clock_, patience_, stop);
  TYLLM_TRY(asking.Run([&]() -> Status {
    TYLLM_ASSIGN(const std::vector<BlobId> found, calls_->FindMissing(ids, stop));
    missing.insert(found.begin(), found.end());
    return OkStatus();
  }));
  return missing;
}

Status BlobTransfer::SendFile(const format::TreeEntry& entry, const Path& root, MovedBytes& moved,
                              const std::stop_token& stop) {
  TransferRetry retry(clock_, patience_, stop);
  MovedBytes::Part part(moved);
  const Status sent = retry.Run([&] {
    return calls_->Upload(
        entry.blob, root / entry.path, [&](std::uint64_t arrived) { return retry.Begins(arrived); },
        [&](std::uint64_t bytes) {
          retry.Sent();
          part.Set(bytes);
        },
        stop);
  });
  if (sent.ok()) {
    part.Set(entry.blob.size);
  }
  return sent;
}

// The server has none of them: FindMissing said so.
Status BlobTransfer::SendBatch(Entries left, const Path& root, MovedBytes& moved,
                               const std::stop_token& stop) {
  TransferRetry retry(clock_, patience_, stop);
  Batch batch(left, moved);
  const Status sent = retry.Run([&]() -> Status {
    TYLLM_TRY(retry.Begins(batch.arrived()));
    std::vector<Calls::Content> contents;
    for (const format::TreeEntry* const entry : left) {
      TYLLM_ASSIGN(std::string bytes, Calls::ReadSmall(entry->blob, root / entry->path));
      contents.push_back({entry->blob, std::move(bytes)});
    }
    retry.Sent();
    TYLLM_ASSIGN(std::vector<Status> ended, calls_->BatchUpload(contents, stop));
    for (std::size_t i = 0; i < left.size(); ++i) {
      ended[i] = ended[i].Annotate("sending " + (root / left[i]->path).string());
    }
    const Status error = batch.Note(ended);
    retry.Arrived(batch.arrived());
    return error;
  });
  if (sent.code() != StatusCode::kUnimplemented) {
    return sent;
  }
  for (const format::TreeEntry* const entry : left) {
    TYLLM_TRY(SendFile(*entry, root, moved, stop));
  }
  return OkStatus();
}

Status BlobTransfer::UploadTree(const format::Tree& tree, const Path& root,
                                const Progress& progress, std::stop_token stop) {
  TYLLM_ASSIGN(std::set<BlobId> missing, FindMissing(tree, stop));
  MovedBytes moved(tree.bytes(), progress);
  MovedBytes::Part there(moved);
  Entries absent;
  for (const format::TreeEntry& entry : tree.entries) {
    if (missing.erase(entry.blob) > 0) {
      absent.push_back(&entry);
    } else {
      there.Add(entry.blob.size);
    }
  }
  std::vector<Work> works;
  for (const Entries& part : Cut(absent)) {
    works.emplace_back([&, part](const std::stop_token& ends) {
      return IsSmall(*part.front()) ? SendBatch(part, root, moved, ends)
                                    : SendFile(*part.front(), root, moved, ends);
    });
  }
  TYLLM_TRY(DoSideBySide(kAtATime, works, stop));
  const std::string text = ToText(tree);
  TransferRetry last(clock_, patience_, stop);
  return last.Run([&] { return calls_->Upload(IdOf(tree), text, stop); });
}

Result<format::Tree> BlobTransfer::ReadTree(const format::TreeId& id, std::stop_token stop) {
  if (id.size > kLargestTreeText) {
    return InvalidArgument("tree " + id.ToString() + " has a list of files larger than 64 MiB");
  }
  std::string text;
  TransferRetry retry(clock_, patience_, stop);
  TYLLM_TRY(retry.Run([&] {
    text.clear();
    return calls_->Download(
        id, 0,
        [&](std::span<const std::byte> bytes) {
          text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          return text.size() <= kLargestTreeText ? OkStatus() : DataLoss("too many bytes");
        },
        stop);
  }));
  if (text.size() != id.size || DigestOf(text) != id.sha256) {
    return DataLoss("the server's bytes of tree " + id.ToString() + " are not what the name says");
  }
  return format::ParseTree(text);
}

Status BlobTransfer::FetchFile(const format::TreeEntry& entry, const Path& directory,
                               MovedBytes& moved, const std::stop_token& stop) {
  const Path target = directory / entry.path;
  TransferRetry retry(clock_, patience_, stop);
  MovedBytes::Part part(moved);
  const auto came = [&](std::uint64_t bytes) {
    retry.Arrived(bytes);
    part.Set(bytes);
  };
  TYLLM_TRY(retry.Run([&] { return calls_->DownloadFile(entry.blob, target, came, stop); }));
  part.Set(entry.blob.size);
  return SetMode(target, entry.executable);
}

Status BlobTransfer::FetchBatch(Entries left, const Path& directory, MovedBytes& moved,
                                const std::stop_token& stop) {
  TransferRetry retry(clock_, patience_, stop);
  Batch batch(left, moved);
  const Status fetched = retry.Run([&]() -> Status {
    std::vector<BlobId> blobs;
    for (const format::TreeEntry* const entry : left) {
      blobs.push_back(entry->blob);
    }
    TYLLM_ASSIGN(const auto came, calls_->BatchDownload(blobs, stop));
    const Status error = batch.Note(Keep(left, came, directory));
    retry.Arrived(batch.arrived());
    return error;
  });
  if (fetched.code() != StatusCode::kUnimplemented) {
    return fetched;
  }
  for (const format::TreeEntry* const entry : left) {
    TYLLM_TRY(FetchFile(*entry, directory, moved, stop));
  }
  return OkStatus();
}

Status BlobTransfer::DownloadTree(const format::Tree& tree, const Path& directory,
                                  const Progress& progress, std::stop_token stop) {
  FileSystem& files = LocalFileSystem();
  MovedBytes moved(tree.bytes(), progress);
  MovedBytes::Part there(moved);
  Entries absent;
  TYLLM_TRY(files.CreateDirectories(directory));
  for (const format::TreeEntry& entry : tree.entries) {
    const Path target = directory / entry.path;
    TYLLM_ASSIGN(const bool is_there, IsThere(target, entry.blob, stop));
    if (is_there) {
      TYLLM_TRY(SetMode(target, entry.executable));
      there.Add(entry.blob.size);
    } else {
      TYLLM_TRY(files.CreateDirectories(target.parent_path()));
      absent.push_back(&entry);
    }
  }
  std::vector<Work> works;
  for (const Entries& part : Cut(absent)) {
    works.emplace_back([&, part](const std::stop_token& ends) {
      return IsSmall(*part.front()) ? FetchBatch(part, directory, moved, ends)
                                    : FetchFile(*part.front(), directory, moved, ends);
    });
  }
  return DoSideBySide(kAtATime, works, stop);
}

}  // namespace tyllm::wire
