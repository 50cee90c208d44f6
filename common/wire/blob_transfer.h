// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/file_system.h"
#include "common/format/tree.h"
#include "common/wire/moved_bytes.h"

namespace grpc {
class Channel;
}

namespace tyllm::wire {

/// Moves trees between this machine and a server's BlobService: several files at a time, and small
/// ones together where the server knows how. Blocking; one call at a time an object. A broken
/// connection is tried again, going on where it stopped, until nothing of a file has moved for
/// `patience`. A stop request ends a call with kCancelled within about a second.
class BlobTransfer {
 public:
  /// (bytes done, bytes in all); files that need not move count as done. Called from one thread
  /// after the other.
  using Progress = MovedBytes::Progress;

  /// Whose blobs are sent: a worker's attempt's are taken also while the server takes nothing new.
  enum class Sender { kClient, kAttempt };

  BlobTransfer(std::shared_ptr<grpc::Channel> channel, const Clock& clock, Milliseconds patience,
               Sender sender = Sender::kClient);
  ~BlobTransfer();

  /// Sends every file of `tree` under `root` that the server does not have, then the tree's own
  /// text. A file that changed since it was scanned is kDataLoss naming it.
  Status UploadTree(const format::Tree& tree, const Path& root, const Progress& progress,
                    std::stop_token stop);
  /// The list of files of a tree.
  Result<format::Tree> ReadTree(const format::TreeId& id, std::stop_token stop);
  /// Makes `directory` hold exactly the tree's files, each verified. Files that are there and right
  /// stay; an unfinished one goes on where it stopped. Files of other names are left alone.
  Status DownloadTree(const format::Tree& tree, const Path& directory, const Progress& progress,
                      std::stop_token stop);

 private:
  class Calls;
  using Entries = std::vector<const format::TreeEntry*>;

  Result<std::set<BlobId>> FindMissing(const format::Tree& tree, const std::stop_token& stop);
  Status SendFile(const format::TreeEntry& entry, const Path& root, MovedBytes& moved,
                  const std::stop_token& stop);
  Status SendBatch(Entries left, const Path& root, MovedBytes& moved, const std::stop_token& stop);
  Status FetchFile(const format::TreeEntry& entry, const Path& directory, MovedBytes& moved,
                   const std::stop_token& stop);
  Status FetchBatch(Entries left, const Path& directory, MovedBytes& moved,
                    const std::stop_token& stop);

  std::unique_ptr<Calls> calls_;
  const Clock& clock_;
  Milliseconds patience_;
};

}  // namespace tyllm::wire
