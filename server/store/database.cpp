// SPDX-License-Identifier: Apache-2.0
#include "server/store/database.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "server/store/log_file_sync.h"
#include "server/store/page_cache.h"

namespace tyllm::server::store {

namespace {

constexpr const char* kSettings =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA foreign_keys=ON;"
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA trusted_schema=OFF;"
    "PRAGMA cell_size_check=ON;"
    // KiB: of a million waiting jobs, the keys.
    "PRAGMA cache_size=-65536;"
    "PRAGMA journal_size_limit=67108864;"
    // Pages that many transactions write go into the database once in so many: kUsualLog.
    "PRAGMA wal_autocheckpoint=4000;"
    "BEGIN IMMEDIATE; COMMIT;";

constexpr const char* kReaderSettings =
    "PRAGMA query_only=ON;"
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA trusted_schema=OFF;"
    "PRAGMA cell_size_check=ON;";

// The log is still synced before it is put into the database, and the database before the log is
// begun anew.
constexpr const char* kSyncedByOthers = "PRAGMA synchronous=NORMAL";

/// What a log grows to: 4000 pages with their headers, and the transaction that made it so many.
constexpr std::int64_t kUsualLog = 18 << 20;

constexpr int kStartUpPatienceMs = 2000;

constexpr Sql kBegin{"BEGIN IMMEDIATE"};
constexpr Sql kBeginLook{"BEGIN"};
constexpr Sql kSnapshot{"SELECT 1 FROM sqlite_schema LIMIT 1"};
constexpr Sql kCommit{"COMMIT"};
constexpr Sql kRollback{"ROLLBACK"};

enum class Severity : std::uint8_t { kOperation, kTransaction, kForGood };

Severity SeverityOf(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_BUSY:
      return Severity::kTransaction;
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
      return Severity::kForGood;
    default:
      return Severity::kOperation;
  }
}

Status Describe(int code, const std::string& file, const std::string& text) {
  const std::string found = "database " + file + ": " + text;
  switch (code & 0xff) {
    case SQLITE_FULL:
      return ResourceExhausted(found + "; free some space on its disk");
    case SQLITE_NOMEM:
      return ResourceExhausted(found);
    case SQLITE_BUSY:
      return Unavailable(found + "; another process uses it, perhaps a second server: end that");
    case SQLITE_NOTADB:
      return FailedPrecondition(found +
                                "; it is damaged, or no database of this program: restore a backup "
                                "into a new folder (`tyllm-server restore`)");
    case SQLITE_CORRUPT:
      return Unavailable(
          found +
          "; restore a backup into a new folder (`tyllm-server restore`), and check the "
          "disk");
    default:
      return SeverityOf(code) == Severity::kForGood
                 ? Unavailable(found + "; check the disk, then restart the server")
                 : Internal(found);
  }
}

std::string OwnerFile(const std::string& file) {
  return file + "-owner";
}

// Only this process may have the file: nobody can write past the store's thread, and two servers on
// one folder find out at once. A file beside it is locked, because closing any descriptor of the
// database itself would give up SQLite's own locks.
Result<Fd> LockOwner(const std::string& file) {
  const std::string path = OwnerFile(file);
  while (true) {
    Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!lock) {
      return FromErrno(errno, "opening " + path);
    }
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      return errno == EWOULDBLOCK ? Describe(SQLITE_BUSY, file, "it is locked")
                                  : FromErrno(errno, "locking " + path);
    }
    struct stat locked{};
    struct stat named{};
    if (::fstat(lock.get(), &locked) == 0 && ::stat(path.c_str(), &named) == 0 &&
        locked.st_ino == named.st_ino) {
      return lock;  // else its owner has just gone and taken the name with it
    }
  }
}

// Before SQLite's first use. It counts what it allocates under one lock for all threads unless it
// is told that nobody asks.
void Configure() {
  [[maybe_unused]] static const bool done = [] {
    InstallPageCache();
    return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK;
  }();
}

}  // namespace

void ConnectionTraits::Close(sqlite3* connection) {
  sqlite3_close_v2(connection);
}

void StatementTraits::Close(sqlite3_stmt* statement) {
  sqlite3_finalize(statement);
}

Rows::~Rows() {
  if (statement_ != nullptr) {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
}

Result<bool> Rows::Next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) {
    return true;
  }
  return code == SQLITE_DONE ? Result<bool>(false) : Result<bool>(database_->Failed(code));
}

bool Rows::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::int64_t Rows::Integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Rows::Real(int column) const {
  return sqlite3_column_double(statement_, column);
}

std::string Rows::Text(int column) const {
  const auto* const text = sqlite3_column_text(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return text == nullptr ? std::string() : std::string(text, text + size);
}

std::optional<Sha256> Rows::Digest(int column) const {
  const auto* const bytes =
      static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  Sha256 digest;
  if (bytes == nullptr ||
      sqlite3_column_bytes(statement_, column) != static_cast<int>(digest.bytes.size())) {
    return std::nullopt;
  }
  std::copy_n(bytes, digest.bytes.size(), digest.bytes.begin());
  return digest;
}

Result<std::unique_ptr<Database>> Database::Connect(const std::string& file, const std::string& vfs,
                                                    const char* settings) {
  Configure();
  TYLLM_ASSIGN(std::unique_ptr<GatheredLog> log, GatheredLog::Make(vfs));
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &raw,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                   log->name().c_str());
  UniqueHandle<ConnectionTraits> connection(raw);
  if (code != SQLITE_OK) {
    return Describe(code, file, raw == nullptr ? "out of memory" : sqlite3_errmsg(raw));
  }
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, kStartUpPatienceMs);
  std::unique_ptr<Database> database(new Database(std::move(connection), file, vfs));
  database->log_ = std::move(log);
  TYLLM_TRY(database->Execute(settings));
  return database;
}

Result<std::unique_ptr<Database>> Database::Open(const std::string& file, const std::string& vfs) {
  TYLLM_ASSIGN(Fd owner, LockOwner(file));
  TYLLM_ASSIGN(std::unique_ptr<Database> database, Connect(file, vfs, kSettings));
  database->owner_ = std::move(owner);
  // A process that was killed may have left in the log what the disk does not have yet, and nothing
  // of that may be answered from before.
  TYLLM_ASSIGN(const std::unique_ptr<LogSync> sync,
               OpenLogFileSync(database->LogPath(), vfs, database->log_is_lost_));
  TYLLM_TRY(sync->Sync());
  return database;
}

Result<std::unique_ptr<Database>> Database::OpenReader() const {
  TYLLM_ASSIGN(std::unique_ptr<Database> reader, Connect(file_, vfs_, kReaderSettings));
  reader->only_looks_ = true;
  return reader;
}

std::string Database::LogPath() const {
  return std::string(sqlite3_db_filename(connection_.get(), "main")) + "-wal";
}

Result<std::unique_ptr<LogSync>> Database::OpenLogSync() {
  const std::string log = LogPath();
  TYLLM_ASSIGN(std::unique_ptr<LogSync> sync, OpenLogFileSync(log, vfs_, log_is_lost_));
  TYLLM_TRY(Execute(kSyncedByOthers));
  if (vfs_.empty()) {
    LengthenLog(log, kUsualLog);
  }
  return sync;
}

Database::~Database() {
  statements_.clear();  // before the connection
  if (*log_is_lost_) {
    sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }
  connection_.Reset();
  if (owner_) {
    ::unlink(OwnerFile(file_).c_str());  // while it is still locked
  }
}

Status Database::Begin() {
  TYLLM_TRY(broken_);
  spoiled_ = OkStatus();
  changes_at_begin_ = total_changes();
  TYLLM_TRY(Change(only_looks_ ? kBeginLook : kBegin).status());
  // SQLite chooses the state that a transaction sees when it first reads.
  if (only_looks_) {
    TYLLM_ASSIGN(Rows rows, Query(kSnapshot));
    TYLLM_TRY(rows.Next().status());
  }
  return OkStatus();
}

Result<bool> Database::Commit() {
  TYLLM_TRY(spoiled_);
  const bool wrote = total_changes() != changes_at_begin_;
  TYLLM_TRY(Change(kCommit).status());
  return wrote;
}

void Database::Rollback() {
  if (sqlite3_get_autocommit(connection_.get()) == 0) {
    const auto undone = Change(kRollback);
    if (!undone.ok() && broken_.ok()) {
      broken_ = undone.status();
    }
  }
}

Status Database::Execute(const char* script) {
  const int code = sqlite3_exec(connection_.get(), script, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? OkStatus() : Failed(code);
}

Result<sqlite3_stmt*> Database::Prepare(const Sql& sql) {
  TYLLM_TRY(broken_);
  UniqueHandle<StatementTraits>& kept = statements_[&sql];
  if (!kept) {
    sqlite3_stmt* raw = nullptr;
    const int code = sqlite3_prepare_v3(connection_.get(), sql.text, -1, SQLITE_PREPARE_PERSISTENT,
                                        &raw, nullptr);
    if (code != SQLITE_OK) {
      return Failed(code).Annotate(sql.text);
    }
    kept.Reset(raw);
  }
  TYLLM_CHECK(sqlite3_stmt_busy(kept.get()) == 0);
  return kept.get();
}

Status Database::Failed(int code) {
  const Status status = Describe(code, file_, sqlite3_errmsg(connection_.get()));
  const bool forbidden = only_looks_ && (code & 0xff) == SQLITE_READONLY;
  const Severity severity = forbidden ? Severity::kOperation : SeverityOf(code);
  if (severity != Severity::kOperation && spoiled_.ok()) {
    spoiled_ = status;
  }
  if (severity == Severity::kForGood && broken_.ok()) {
    broken_ = status;
  }
  return status;
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(connection_.get());
}

std::int64_t Database::total_changes() const {
  return sqlite3_total_changes64(connection_.get());
}

std::int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(connection_.get());
}

void Database::BindText(sqlite3_stmt* statement, int index, std::string_view text, Lives lives) {
  // An empty view may have no address, which SQLite would take for NULL.
  sqlite3_bind_text64(statement, index, text.empty() ? "" : text.data(), text.size(),
                      lives == Lives::kTooShort ? SQLITE_TRANSIENT : SQLITE_STATIC, SQLITE_UTF8);
}

void Database::BindDigest(sqlite3_stmt* statement, int index, const Sha256& digest, Lives lives) {
  sqlite3_bind_blob64(statement, index, digest.bytes.data(), digest.bytes.size(),
                      lives == Lives::kTooShort ? SQLITE_TRANSIENT : SQLITE_STATIC);
}

void Database::BindReal(sqlite3_stmt* statement, int index, double value) {
  sqlite3_bind_double(statement, index, value);
}

void Database::BindInteger(sqlite3_stmt* statement, int index, std::int64_t value) {
  sqlite3_bind_int64(statement, index, value);
}

void Database::BindNull(sqlite3_stmt* statement, int index) {
  sqlite3_bind_null(statement, index);
}

}  // namespace tyllm::server::store
