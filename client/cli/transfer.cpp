// SPDX-License-Identifier: Apache-2.0
#include "client/cli/transfer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <utility>

#include "client/cli/show.h"
#include "client/cli/tell.h"
#include "common/base/lock_file.h"
#include "common/base/terminal.h"
#include "common/domain/output_names.h"
#include "common/format/tree.h"

namespace tyllm::client {

namespace {

namespace fs = std::filesystem;

constexpr Milliseconds kTerminalPeriod{100};
constexpr Milliseconds kPlainPeriod{5000};
constexpr std::size_t kNameDigits = 12;  // of a tree's digest

using OnBytes = std::function<void(std::uint64_t, std::uint64_t)>;

/// `scan` gives the tree of what is under `root`; what the server does not have of it is sent.
Result<BlobId> DigestAndSend(Farm& farm, const Session& session, const std::string& name,
                             const Path& root, bool quiet,
                             const std::function<Result<format::Tree>(const OnBytes&)>& scan) {
  format::Tree tree;
  {
    TransferDisplay display("digesting " + name, quiet, session.clock());
    TYLLM_ASSIGN(tree,
                 scan([&](std::uint64_t done, std::uint64_t total) { display.Show(done, total); }));
  }
  TransferDisplay display("sending " + name, quiet, session.clock());
  TYLLM_TRY(farm.blobs().UploadTree(
      tree, root, [&](std::uint64_t done, std::uint64_t total) { display.Show(done, total); },
      session.stop()));
  return IdOf(tree);
}

}  // namespace

TransferDisplay::TransferDisplay(std::string what, bool quiet, const Clock& clock)
    : what_(std::move(what)),
      quiet_(quiet),
      terminal_(::isatty(STDERR_FILENO) == 1),
      clock_(clock),
      start_(clock.Now()) {}

TransferDisplay::~TransferDisplay() {
  if (terminal_ && !quiet_ && first_) {
    Tell("\r\x1b[K");
  }
}

void TransferDisplay::Show(std::uint64_t done, std::uint64_t total) {
  const Clock::Steady now = clock_.Now();
  if (!first_) {
    first_ = done;
    last_ = terminal_ ? Clock::Steady{} : now;
  }
  if (quiet_ || now - last_ < (terminal_ ? kTerminalPeriod : kPlainPeriod)) {
    return;
  }
  last_ = now;
  const std::string numbers = TransferNumbers(done, total, done - *first_,
                                              std::chrono::duration<double>(now - start_).count());
  if (terminal_) {
    Tell("\r\x1b[K{}", TransferLine(what_, numbers, TerminalColumns(STDERR_FILENO) - 1));
  } else {
    Tell("{}{}\n", what_, numbers);
  }
}

std::string TransferNumbers(std::uint64_t done, std::uint64_t total, std::uint64_t moved,
                            double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(moved) / seconds : 0;
  std::string text = fmt::format(": {} of {}, {}/s", Bytes(done), Bytes(total),
                                 Bytes(static_cast<std::uint64_t>(rate)));
  if (rate > 0 && done < total) {
    const double left = static_cast<double>(total - done) / rate;
    text += ", " + Duration(static_cast<std::int64_t>(left * 1000)) + " left";
  }
  return text;
}

std::string TransferLine(const std::string& what, const std::string& numbers, std::size_t columns) {
  constexpr std::string_view kCut = "...";
  std::string line = what + numbers;
  if (line.size() > columns && columns > numbers.size() + kCut.size()) {
    line = std::string(kCut) +
           std::string(CutToLastColumns(what, columns - numbers.size() - kCut.size())) + numbers;
  }
  return std::string(CutToColumns(line, columns));
}

Result<BlobId> Upload(Farm& farm, const Session& session, const Path& path, bool quiet) {
  const Path source = fs::absolute(path).lexically_normal();
  std::error_code error;
  if (!fs::exists(source, error)) {
    return NotFound(path.string() + " is not there; check the path");
  }
  const Path root = fs::is_directory(source, error) ? source : source.parent_path();
  return DigestAndSend(farm, session, path.string(), root, quiet, [&](const auto& progress) {
    return format::ScanTree(source, progress, session.stop());
  });
}

Result<BlobId> UploadFiles(Farm& farm, const Session& session, const Path& root,
                           const std::vector<Path>& files, bool quiet) {
  return DigestAndSend(farm, session, root.string(), root, quiet, [&](const auto& progress) {
    return format::ScanFiles(root, files, progress, session.stop());
  });
}

namespace {

Path Beside(const Path& target, const std::string& what) {
  Path beside = target;
  beside += what;
  return beside;
}

/// Whether the tree is there; kAlreadyExists when something else is.
Result<bool> IsFetched(const format::Tree& tree, const Path& target, const std::stop_token& stop) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(target, error))) {
    return false;
  }
  const auto there = format::ScanTree(target, {}, stop);
  if (there.ok() && *there == tree) {
    return true;
  }
  return stop.stop_requested()
             ? there.status()
             : AlreadyExists(target.string() +
                             " exists and holds other files than the job's output; choose another "
                             "folder or remove it");
}

/// What is in a folder of unfinished work and not in its tree: it would be taken for a part of it.
Status RemoveOthers(const format::Tree& tree, const Path& folder) {
  std::vector<Path> others;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const bool is_folder = fs::is_directory(it->symlink_status(error));
    const std::string path = it->path().lexically_relative(folder).generic_string();
    if (!error && !is_folder && tree.Find(path) == nullptr) {
      others.push_back(it->path());
    }
  }
  if (error) {
    return FromErrno(error.value(), "reading folder " + folder.string());
  }
  for (const Path& path : others) {
    TYLLM_TRY(LocalFileSystem().RemoveAll(path));
  }
  return OkStatus();
}

Result<Path> FetchFiles(Farm& farm, const Session& session, const format::Tree& tree,
                        const Path& target, bool quiet) {
  FileSystem& files = LocalFileSystem();
  TYLLM_ASSIGN(const bool was_fetched, IsFetched(tree, target, session.stop()));
  if (was_fetched) {
    return target;
  }
  TYLLM_TRY(files.CreateDirectories(target.parent_path()));
  TYLLM_ASSIGN(const std::optional<LockFile> lock, LockFile::Try(Beside(target, ".incoming.lock")));
  if (!lock) {
    return FailedPrecondition("another process is fetching " + target.string() +
                              ", expected nobody to; wait until it is done, or choose another "
                              "folder");
  }
  TYLLM_ASSIGN(const bool is_fetched, IsFetched(tree, target, session.stop()));
  if (is_fetched) {  // by one that had the lock a moment ago
    return target;
  }
  // Of this tree alone: what another job left unfinished here is not a part of it.
  const Path incoming =
      Beside(target, "." + IdOf(tree).sha256.Hex().substr(0, kNameDigits) + ".incoming");
  {
    TransferDisplay display("fetching " + target.filename().string(), quiet, session.clock());
    TYLLM_TRY(farm.blobs().DownloadTree(
        tree, incoming, [&](std::uint64_t done, std::uint64_t total) { display.Show(done, total); },
        session.stop()));
  }
  TYLLM_TRY(RemoveOthers(tree, incoming));
  TYLLM_TRY(files.Rename(incoming, target));
  TYLLM_TRY(files.SyncDirectory(target.parent_path()));
  return target;
}

}  // namespace

Result<Path> FetchTree(Farm& farm, const Session& session, const BlobId& id, const Path& target,
                       bool quiet) {
  TYLLM_ASSIGN(const format::Tree tree, farm.blobs().ReadTree(id, session.stop()));
  return FetchFiles(farm, session, tree, fs::absolute(target), quiet);
}

Result<std::vector<Path>> FetchOutputs(Farm& farm, const Session& session,
                                       const domain::JobView& job, const Path& folder, bool quiet) {
  if (job.state != domain::JobState::kSucceeded) {
    return FailedPrecondition(
        job.id.ToString() + " is " + std::string(domain::kJobStateNames.Name(job.state)) +
        ", expected succeeded; see: tyllm-client status " + job.id.ToString());
  }
  TYLLM_TRY(LocalFileSystem().CreateDirectories(folder));
  std::vector<Path> fetched;
  for (const auto& [name, id] : job.outputs) {
    TYLLM_ASSIGN(const format::Tree tree, farm.blobs().ReadTree(id, session.stop()));
    const Path target =
        fs::absolute(folder) / domain::OutputFolderName(job.spec, name, domain::SeesImages(tree));
    TYLLM_ASSIGN(fetched.emplace_back(), FetchFiles(farm, session, tree, target, quiet));
  }
  return fetched;
}

}  // namespace tyllm::client
