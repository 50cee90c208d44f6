// SPDX-License-Identifier: Apache-2.0
#include "server/store/compact_copy.h"

#include <sqlite3.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/store/database.h"
#include "server/store/database_check.h"

namespace tyllm::server::store {

namespace {

namespace fs = std::filesystem;

/// Beside the copy, for what SQLite needs and others write meanwhile.
constexpr std::uint64_t kSpareBytes = 16 << 20;

constexpr Sql kTables{"SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"};
constexpr Sql kPages{"SELECT page_count FROM pragma_page_count"};
constexpr Sql kFreePages{"SELECT freelist_count FROM pragma_freelist_count"};
constexpr Sql kPageSize{"SELECT page_size FROM pragma_page_size"};
constexpr Sql kEmptyLog{"PRAGMA wal_checkpoint(TRUNCATE)"};

using Rowcounts = std::map<std::string, std::int64_t>;

Path With(Path path, const char* ending) {
  path += ending;
  return path;
}

std::uint64_t SizeOf(const Path& file) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  return error ? 0 : size;
}

Result<std::int64_t> NumberOf(Database& database, const Sql& sql) {
  TYLLM_ASSIGN(Rows rows, database.Query(sql));
  TYLLM_ASSIGN(const bool found, rows.Next());
  return found ? rows.Integer(0) : 0;
}

std::string Quoted(const std::string& text, char quote) {
  std::string quoted(1, quote);
  for (const char c : text) {
    quoted += std::string(c == quote ? 2 : 1, c);
  }
  return quoted + quote;
}

// Statements are kept under the address of their text, which a table's name has none of.
Result<std::int64_t> RowsOfTable(Database& database, const std::string& table) {
  const std::string sql = "SELECT count(*) FROM " + Quoted(table, '"');
  sqlite3_stmt* raw = nullptr;
  const int prepared = sqlite3_prepare_v2(database.connection(), sql.c_str(), -1, &raw, nullptr);
  const UniqueHandle<StatementTraits> statement(raw);
  if (prepared != SQLITE_OK || sqlite3_step(raw) != SQLITE_ROW) {
    return DataLoss("counting the rows of table " + table + ": " +
                    sqlite3_errmsg(database.connection()));
  }
  return sqlite3_column_int64(raw, 0);
}

Result<Rowcounts> CountRows(Database& database) {
  std::vector<std::string> tables;
  {
    TYLLM_ASSIGN(Rows rows, database.Query(kTables));
    while (true) {
      TYLLM_ASSIGN(const bool more, rows.Next());
      if (!more) {
        break;
      }
      tables.push_back(rows.Text(0));
    }
  }
  Rowcounts counts;
  for (const std::string& table : tables) {
    TYLLM_ASSIGN(counts[table], RowsOfTable(database, table));
  }
  return counts;
}

Status CheckSound(const Path& file) {
  TYLLM_ASSIGN(const std::vector<std::string> problems, CheckDatabase(file));
  return problems.empty()
             ? OkStatus()
             : FailedPrecondition(file.string() + " is not sound: " + problems.front() +
                                  "; nothing was changed. tyllm-server fsck tells all of it");
}

Status CheckRoom(FileSystem& files, Database& database, const Path& to) {
  TYLLM_ASSIGN(const std::int64_t pages, NumberOf(database, kPages));
  TYLLM_ASSIGN(const std::int64_t free_pages, NumberOf(database, kFreePages));
  TYLLM_ASSIGN(const std::int64_t page, NumberOf(database, kPageSize));
  TYLLM_ASSIGN(const std::uint64_t free, files.FreeBytes(to.parent_path()));
  const std::uint64_t needed =
      static_cast<std::uint64_t>((pages - free_pages) * page) + kSpareBytes;
  return free >= needed
             ? OkStatus()
             : ResourceExhausted("the disk of " + to.parent_path().string() + " has " +
                                 std::to_string(free) + " bytes free, the compact copy needs " +
                                 std::to_string(needed) + "; make room first");
}

Result<Rowcounts> Copy(FileSystem& files, const Path& from, const Path& to) {
  TYLLM_ASSIGN(const std::unique_ptr<Database> database, Database::Open(from.string(), {}));
  TYLLM_TRY(CheckRoom(files, *database, to));
  TYLLM_ASSIGN(Rowcounts counts, CountRows(*database));
  const std::string sql = "VACUUM INTO " + Quoted(to.string(), '\'');
  TYLLM_TRY(database->Execute(sql.c_str()));
  TYLLM_ASSIGN(const std::int64_t busy, NumberOf(*database, kEmptyLog));
  return busy == 0 ? Result<Rowcounts>(std::move(counts))
                   : Unavailable("the write-ahead log of " + from.string() +
                                 " could not be emptied; try again");
}

// SQLite itself does not sync what it vacuums into.
Status SyncFile(FileSystem& files, const Path& file) {
  TYLLM_ASSIGN(const std::unique_ptr<OutputFile> open, files.OpenForUpdate(file));
  TYLLM_TRY(open->Sync());
  TYLLM_TRY(open->Close());
  return files.SyncDirectory(file.parent_path());
}

Result<Rowcounts> CountRowsOf(const Path& file) {
  TYLLM_ASSIGN(const std::unique_ptr<Database> database, Database::Open(file.string(), {}));
  return CountRows(*database);
}

// A log beside a file of another content would be taken for its own.
Status CheckNoLog(const Path& file) {
  const Path log = With(file, "-wal");
  return SizeOf(log) == 0 ? OkStatus()
                          : Internal(log.string() + " has " + std::to_string(SizeOf(log)) +
                                     " bytes although nobody has the queue open, expected none");
}

}  // namespace

Result<CompactSizes> CopyCompactly(FileSystem& files, const Path& from, const Path& to) {
  TYLLM_TRY(CheckSound(from));
  TYLLM_ASSIGN(const Rowcounts expected, Copy(files, from, to));
  TYLLM_TRY(CheckSound(to));
  TYLLM_ASSIGN(const Rowcounts found, CountRowsOf(to));
  if (found != expected) {
    return Internal("the compact copy " + to.string() + " has other rows than " + from.string() +
                    "; nothing was changed");
  }
  TYLLM_TRY(CheckNoLog(from));
  TYLLM_TRY(CheckNoLog(to));
  TYLLM_TRY(SyncFile(files, to));
  return CompactSizes{SizeOf(from), SizeOf(to)};
}

}  // namespace tyllm::server::store
