// SPDX-License-Identifier: Apache-2.0
#include "server/app/maintenance.h"

#include <iostream>
#include <memory>
#include <optional>

#include "server/app/backup.h"
#include "server/app/compact.h"
#include "server/app/data_folder.h"
#include "server/app/fsck.h"
#include "server/store/schema.h"

namespace tyllm::server::app {

namespace {

struct Folders {
  Path data = "tyllm-data";
  Path other;
  bool digest = false;
  bool unused = false;
};

cli::Option DataOption(Folders& folders) {
  return {"--data", "DIR", "the server's data folder", &folders.data};
}

cli::ExitCode Report(const Result<BackupReport>& report, const char* done) {
  if (!report.ok()) {
    return cli::ReportError(report.status());
  }
  std::cout << done << (report->while_serving ? " (while serving)" : "") << ": "
            << report->blobs.files << " blobs of " << report->blobs.bytes << " bytes and "
            << report->logs.files << " logs copied" << std::endl;
  return cli::ExitCode::kOk;
}

void TellUnused(const std::optional<FsckReport::Unused>& unused) {
  if (unused) {
    std::cout << unused->blobs << " blobs of " << unused->bytes
              << " bytes are named by no job, result or unfinished work; the server removes them "
                 "when they were not wanted for keep.blob_hours\n";
  } else {
    std::cout << "which blobs nobody names is not known, because not every list of files that "
                 "somebody names could be read\n";
  }
}

cli::ExitCode RunFsck(const Folders& folders) {
  const auto report = Fsck(folders.data, folders.digest);
  if (!report.ok()) {
    return cli::ReportError(report.status());
  }
  for (const std::string& problem : report->problems) {
    std::cout << problem << "\n";
  }
  if (!report->problems.empty()) {
    std::cout
        << "what to do: restore a backup into a new folder (tyllm-server restore); a blob alone "
           "comes back with the next upload of its model\n";
  }
  if (folders.unused) {
    TellUnused(report->unused);
  }
  std::cout << report->trees << " trees, " << report->blobs << " blobs, " << report->bytes
            << " bytes, " << report->problems.size() << " problems" << std::endl;
  return report->problems.empty() ? cli::ExitCode::kOk : cli::ExitCode::kFailed;
}

Result<std::int64_t> Migrate(const Path& data) {
  std::error_code error;
  if (!std::filesystem::exists(data / "queue.db", error)) {
    return NotFound(data.string() + " has no queue.db; give the server's data folder as --data");
  }
  TYLLM_ASSIGN(const DataFolder folder, DataFolder::Open(LocalFileSystem(), data));
  TYLLM_ASSIGN(const auto database, store::Database::Open(folder.queue().string(), {}));
  TYLLM_ASSIGN(const std::int64_t before, store::SchemaOf(*database));
  TYLLM_TRY(store::CopyBeforeMigration(*database, folder.copies()));
  TYLLM_TRY(store::Migrate(*database).Annotate(folder.queue().string()));
  return before;
}

}  // namespace

void DeclareBackup(cli::CommandSpec& spec, NoContext& /*context*/) {
  auto folders = std::make_shared<Folders>();
  spec.description =
      "A running server goes on serving meanwhile. What the backup has already is not copied "
      "again.";
  spec.examples = {"tyllm-server backup --data /srv/tyllm --to /backup/tyllm"};
  spec.options = {DataOption(*folders),
                  {"--to", "DIR", "folder of the backup; made when absent", &folders->other, true}};
  spec.run = [folders] { return Report(Backup(folders->data, folders->other), "backed up"); };
}

void DeclareRestore(cli::CommandSpec& spec, NoContext& /*context*/) {
  auto folders = std::make_shared<Folders>();
  spec.description =
      "The data folder must be new or empty. Jobs go on from where the backup was made.";
  spec.options = {DataOption(*folders),
                  {"--from", "DIR", "folder of the backup", &folders->other, true}};
  spec.run = [folders] { return Report(Restore(folders->other, folders->data), "restored"); };
}

void DeclareFsck(cli::CommandSpec& spec, NoContext& /*context*/) {
  auto folders = std::make_shared<Folders>();
  spec.description =
      "Not while a server runs on it. Exit code 1 when something is wrong. With --digest a damaged "
      "blob is set aside, so that it can be uploaded again.";
  spec.options = {DataOption(*folders),
                  {"--digest", "", "also read and digest every blob", &folders->digest},
                  {"--unused", "", "also tell how much nobody refers to", &folders->unused}};
  spec.run = [folders] { return RunFsck(*folders); };
}

void DeclareCompact(cli::CommandSpec& spec, NoContext& /*context*/) {
  auto folders = std::make_shared<Folders>();
  spec.description =
      "Not while a server runs on it. SQLite keeps the room of rows that are gone for new ones; "
      "this copies the queue without it, checks the copy and puts it in the queue's place. Until "
      "then the disk needs room for both.";
  spec.options = {DataOption(*folders)};
  spec.run = [folders] {
    const auto sizes = Compact(LocalFileSystem(), folders->data);
    if (!sizes.ok()) {
      return cli::ReportError(sizes.status());
    }
    const bool smaller = sizes->after < sizes->before;
    std::cout << (smaller ? "compacted: " : "nothing to gain, left as it is: ") << sizes->before
              << " bytes -> " << (smaller ? sizes->after : sizes->before) << " bytes" << std::endl;
    return cli::ExitCode::kOk;
  };
}

void DeclareMigrate(cli::CommandSpec& spec, NoContext& /*context*/) {
  auto folders = std::make_shared<Folders>();
  spec.description =
      "As a start of the server does: the old queue is kept in <data>/copies. A newer schema is "
      "refused.";
  spec.options = {DataOption(*folders)};
  spec.run = [folders] {
    const auto before = Migrate(folders->data);
    if (!before.ok()) {
      return cli::ReportError(before.status());
    }
    std::cout << "schema " << *before << " -> " << store::SchemaVersion() << std::endl;
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::server::app
