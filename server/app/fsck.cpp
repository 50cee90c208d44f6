// SPDX-License-Identifier: Apache-2.0
#include "server/app/fsck.h"

#include <set>

#include "common/base/clock.h"
#include "common/base/list_folder.h"
#include "common/format/tree.h"
#include "server/app/data_folder.h"
#include "server/blobs/folder_blob_store.h"
#include "server/store/database_check.h"

namespace tyllm::server::app {

namespace {

constexpr std::size_t kMostProblems = 100;
constexpr std::uint64_t kLargestTree = 16 << 20;
constexpr std::size_t kPiece = 1 << 20;

/// Looks at the blobs that trees name, each once.
class BlobCheck {
 public:
  BlobCheck(blobs::BlobStore& blobs, bool digest, FsckReport& report)
      : blobs_(blobs), digest_(digest), report_(report) {}

  /// Every file that somebody names was found.
  bool knows_all() const { return knows_all_; }

  bool IsNamed(const BlobId& blob) const { return seen_.contains(blob); }

  void LookAtTree(const BlobId& tree) {
    ++report_.trees;
    if (!LookAt(tree, "the list of a tree's files")) {
      knows_all_ = false;
      return;
    }
    const auto text = blobs_.ReadSmall(tree, kLargestTree);
    const auto parsed = text.ok() ? format::ParseTree(*text) : Result<format::Tree>(text.status());
    if (!parsed.ok()) {
      knows_all_ = false;
      Tell("tree " + tree.ToString() + ": " + parsed.status().message());
      return;
    }
    for (const format::TreeEntry& entry : parsed->entries) {
      LookAt(entry.blob, "file " + entry.path + " of tree " + tree.ToString());
    }
  }

 private:
  bool LookAt(const BlobId& blob, const std::string& what) {
    if (!seen_.insert(blob).second) {
      return true;
    }
    ++report_.blobs;
    report_.bytes += blob.size;
    const auto there = blobs_.Has(blob);
    if (!there.ok() || !*there) {
      Tell("blob " + blob.ToString() + " is not there: " + what);
      return false;
    }
    if (digest_) {
      if (const Status status = Read(blob); !status.ok()) {
        Tell(status.message() + " (" + what + ")");
        return false;
      }
    }
    return true;
  }

  Status Read(const BlobId& blob) {
    TYLLM_ASSIGN(const auto reader, blobs_.OpenRead(blob, 0, 0));
    std::vector<std::byte> piece(kPiece);
    while (true) {
      TYLLM_ASSIGN(const std::size_t got, reader->Read(piece));
      if (got == 0) {
        return OkStatus();
      }
    }
  }

  void Tell(std::string problem) {
    if (report_.problems.size() < kMostProblems) {
      report_.problems.push_back(std::move(problem));
    }
  }

  blobs::BlobStore& blobs_;
  const bool digest_;
  FsckReport& report_;
  std::set<BlobId> seen_;
  bool knows_all_ = true;
};

// Of all that are complete; what is not a blob's file is passed over.
Result<FsckReport::Unused> CountUnused(const Path& complete, const BlobCheck& check) {
  FsckReport::Unused unused;
  TYLLM_ASSIGN(const std::vector<Path> fans, ListFolder(complete));
  for (const Path& fan : fans) {
    TYLLM_ASSIGN(const std::vector<Path> files, ListFolder(fan));
    for (const Path& file : files) {
      std::error_code error;
      const std::uint64_t size = std::filesystem::file_size(file, error);
      const auto digest = Sha256::FromHex(file.filename().string());
      if (!error && digest.ok() && !check.IsNamed({*digest, size})) {
        ++unused.blobs;
        unused.bytes += size;
      }
    }
  }
  return unused;
}

Status LookAtBlobs(const DataFolder& folder, bool digest, FsckReport& report) {
  TYLLM_ASSIGN(const std::vector<BlobId> trees, store::TreesNamed(folder.queue()));
  TYLLM_ASSIGN(const auto blobs,
               blobs::OpenFolderBlobStore(LocalFileSystem(), folder.blobs(), SystemClock()));
  BlobCheck check(*blobs, digest, report);
  for (const BlobId& tree : trees) {
    check.LookAtTree(tree);
  }
  if (check.knows_all()) {
    TYLLM_ASSIGN(report.unused, CountUnused(folder.blobs() / "complete", check));
  }
  return OkStatus();
}

}  // namespace

Result<FsckReport> Fsck(const Path& data, bool digest) {
  std::error_code error;
  if (!std::filesystem::exists(data / "queue.db", error)) {
    return NotFound(data.string() +
                    " has no queue.db; give a server's data folder or a backup as --data");
  }
  TYLLM_ASSIGN(const DataFolder folder, DataFolder::Open(LocalFileSystem(), data));
  FsckReport report;
  TYLLM_ASSIGN(report.problems, store::CheckDatabase(folder.queue()));
  if (const Status looked = LookAtBlobs(folder, digest, report); !looked.ok()) {
    report.problems.push_back("not all blobs were looked at: " + looked.message());
  }
  return report;
}

}  // namespace tyllm::server::app
