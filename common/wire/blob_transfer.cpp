// SPDX-License-Identifier: Apache-2.0
#include "common/wire/blob_transfer.h"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "common/base/pause.h"
#include "common/wire/blob_calls.h"

namespace tyllm::wire {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestTreeText = 64 << 20;
constexpr Milliseconds kFirstPause{200};
constexpr Milliseconds kLongestPause{5000};
// Each try has what is there read again, and a disk is not soon empty.
constexpr Milliseconds kLongestPauseWhenFull{30'000};

bool WorthAnotherTry(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded ||
         status.code() == StatusCode::kResourceExhausted;
}

// So many tries in a row may send and bring nothing: the receiver of a connection that broke may
// take a minute to notice, and until then says that nothing has come.
constexpr int kFruitlessTries = 3;

// Repeats the transfer of one file until it succeeds, fails for good, or nothing has moved for
// `patience`. What is new is movement: not what was there before a try, and not what is sent again
// and again without arriving.
class Retry {
 public:
  Retry(const Clock& clock, Milliseconds patience, std::stop_token stop)
      : clock_(clock), patience_(patience), stop_(std::move(stop)), last_move_(clock.Now()) {}

  /// The receiver has so many bytes, and a try to send the rest begins. The error of the try before
  /// when the patience is over.
  Status Begins(std::uint64_t arrived) {
    fruitless_ += std::exchange(has_sent_, false) ? 1 : 0;
    Arrived(arrived);
    const bool doubted = fruitless_ >= kFruitlessTries;
    const Clock::Steady moved = doubted ? last_move_ : std::max(last_move_, last_sent_);
    if (clock_.Now() - moved <= patience_ || failed_.ok()) {
      return OkStatus();
    }
    over_ = true;
    return failed_;
  }

  /// The receiver has so many bytes.
  void Arrived(std::uint64_t bytes) {
    if (bytes > arrived_) {
      arrived_ = bytes;
      last_move_ = clock_.Now();
      pause_ = kFirstPause;
      fruitless_ = 0;
    }
  }

  /// Some bytes are on their way.
  void Sent() {
    has_sent_ = true;
    last_sent_ = clock_.Now();
  }

  template <typename Transfer>
  Status Run(const Transfer& transfer) {
    while (true) {
      failed_ = transfer();
      if (has_sent_) {
        last_sent_ = clock_.Now();  // some was still on its way
      }
      if (stop_.stop_requested()) {
        return failed_.ok() ? failed_ : Cancelled("transfer stopped");
      }
      const Clock::Steady moved = std::max(last_move_, last_sent_);
      if (failed_.ok() || !WorthAnotherTry(failed_) || over_ || clock_.Now() - moved > patience_) {
        return failed_;
      }
      if (!PauseFor(std::min(pause_, patience_), stop_)) {
        return Cancelled("transfer stopped");
      }
      const bool full = failed_.code() == StatusCode::kResourceExhausted;
      pause_ = std::min(2 * pause_, full ? kLongestPauseWhenFull : kLongestPause);
    }
  }

 private:
  const Clock& clock_;
  Milliseconds patience_;
  std::stop_token stop_;
  std::uint64_t arrived_ = 0;
  Clock::Steady last_move_;
  Clock::Steady last_sent_{};
  bool has_sent_ = false;  ///< in this try
  int fruitless_ = 0;      ///< tries in a row that sent something, and nothing arrived
  Milliseconds pause_ = kFirstPause;
  Status failed_;
  bool over_ = false;
};

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

}  // namespace

BlobTransfer::BlobTransfer(std::shared_ptr<grpc::Channel> channel, const Clock& clock,
                           Milliseconds patience, Sender sender)
    : calls_(std::make_unique<Calls>(channel, sender)), clock_(clock), patience_(patience) {}

BlobTransfer::~BlobTransfer() = default;

Status BlobTransfer::UploadTree(const format::Tree& tree, const Path& root,
                                const Progress& progress, std::stop_token stop) {
  Retry asking(clock_, patience_, stop);
  std::vector<BlobId> ids;
  for (const format::TreeEntry& entry : tree.entries) {
    ids.push_back(entry.blob);
  }
  std::set<BlobId> missing;
  TYLLM_TRY(asking.Run([&]() -> Status {
    TYLLM_ASSIGN(const std::vector<BlobId> found, calls_->FindMissing(ids, stop));
    missing.insert(found.begin(), found.end());
    return OkStatus();
  }));
  const std::uint64_t total = tree.bytes();
  std::uint64_t done = 0;
  for (const format::TreeEntry& entry : tree.entries) {
    if (missing.erase(entry.blob) > 0) {
      Retry sending(clock_, patience_, stop);
      TYLLM_TRY(sending.Run([&] {
        return calls_->Upload(
            entry.blob, root / entry.path,
            [&](std::uint64_t arrived) { return sending.Begins(arrived); },
            [&](std::uint64_t sent) {
              sending.Sent();
              progress(done + sent, total);
            },
            stop);
      }));
    }
    done += entry.blob.size;
    progress(done, total);
  }
  const std::string text = ToText(tree);
  Retry last(clock_, patience_, stop);
  return last.Run([&] { return calls_->Upload(IdOf(tree), text, stop); });
}

Result<format::Tree> BlobTransfer::ReadTree(const format::TreeId& id, std::stop_token stop) {
  if (id.size > kLargestTreeText) {
    return InvalidArgument("tree " + id.ToString() + " has a list of files larger than 64 MiB");
  }
  std::string text;
  Retry retry(clock_, patience_, stop);
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

Status BlobTransfer::DownloadTree(const format::Tree& tree, const Path& directory,
                                  const Progress& progress, std::stop_token stop) {
  FileSystem& files = LocalFileSystem();
  const std::uint64_t total = tree.bytes();
  std::uint64_t done = 0;
  TYLLM_TRY(files.CreateDirectories(directory));
  for (const format::TreeEntry& entry : tree.entries) {
    const Path target = directory / entry.path;
    TYLLM_ASSIGN(const bool there, IsThere(target, entry.blob, stop));
    if (!there) {
      TYLLM_TRY(files.CreateDirectories(target.parent_path()));
      Retry retry(clock_, patience_, stop);
      const auto came = [&](std::uint64_t bytes) {
        retry.Arrived(bytes);
        progress(done + bytes, total);
      };
      TYLLM_TRY(retry.Run([&] { return calls_->DownloadFile(entry.blob, target, came, stop); }));
    }
    TYLLM_TRY(SetMode(target, entry.executable));
    done += entry.blob.size;
    progress(done, total);
  }
  return OkStatus();
}

}  // namespace tyllm::wire
