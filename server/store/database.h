// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "common/base/digest.h"
#include "common/base/handle.h"
#include "common/base/result.h"
#include "server/store/gathered_log.h"
#include "server/store/log_sync.h"

namespace tyllm::server::store {

struct ConnectionTraits {
  using Type = sqlite3*;
  static constexpr Type kNone = nullptr;
  static void Close(sqlite3* connection);
};

struct StatementTraits {
  using Type = sqlite3_stmt*;
  static constexpr Type kNone = nullptr;
  static void Close(sqlite3_stmt* statement);
};

/// One SQL statement. Declare each once, at namespace scope: the prepared statement is kept under
/// the address.
struct Sql {
  const char* text;
};

class Database;

/// The rows of a running statement; going away ends it. Columns count from 0.
class Rows {
 public:
  Rows(Database& database, sqlite3_stmt* statement) : database_(&database), statement_(statement) {}

  Rows(Rows&& other) noexcept
      : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

  Rows& operator=(Rows&&) = delete;
  ~Rows();

  /// False after the last row.
  Result<bool> Next();

  bool IsNull(int column) const;
  std::int64_t Integer(int column) const;  ///< 0 for NULL
  double Real(int column) const;           ///< 0 for NULL
  std::string Text(int column) const;      ///< empty for NULL
  std::optional<Sha256> Digest(int column) const;

 private:
  Database* database_;
  sqlite3_stmt* statement_;
};

/// A connection to a SQLite file that only this process has open; only one thread uses it. Storage
/// errors (disk full, I/O, corruption) spoil the transaction: Commit gives them again. Those after
/// which nobody knows what the file holds also break the database for good.
class Database {
 public:
  /// Opens or creates; `vfs` may be empty.
  static Result<std::unique_ptr<Database>> Open(const std::string& file, const std::string& vfs);
  /// A second connection, which only looks: Begin takes a snapshot of what was committed, changes
  /// fail. Goes away before this one.
  Result<std::unique_ptr<Database>> OpenReader() const;
  /// From now on Commit does not sync the log: the returned does, on another thread. What was
  /// committed since its last sync a power cut may take back, the last first. Goes away before
  /// this one. Once, between transactions.
  Result<std::unique_ptr<LogSync>> OpenLogSync();
  ~Database();

  /// Begins a transaction that may write.
  Status Begin();
  /// True when the transaction changed anything; durable when it returns. After an error call
  /// Rollback.
  Result<bool> Commit();
  void Rollback();

  const Status& broken() const { return broken_; }

  /// Statements without arguments or rows, parted by semicolons.
  Status Execute(const char* script);

  /// The values may go before the rows do: they are copied.
  template <typename... Values>
  Result<Rows> Query(const Sql& sql, const Values&... values) {
    return Run(sql, Lives::kTooShort, values...);
  }

  /// Runs it to its end; the number of rows that it changed.
  template <typename... Values>
  Result<std::int64_t> Change(const Sql& sql, const Values&... values) {
    TYLLM_ASSIGN(Rows rows, Run(sql, Lives::kLongEnough, values...));
    TYLLM_ASSIGN(const bool more, rows.Next());
    TYLLM_CHECK(!more);
    return changes();
  }

  /// As Change, for what changes exactly one row when it is what the caller thinks it is: kAborted
  /// with `what` when not.
  template <typename... Values>
  Status ChangeOne(std::string_view what, const Sql& sql, const Values&... values) {
    TYLLM_ASSIGN(const std::int64_t changed, Change(sql, values...));
    return changed == 1 ? OkStatus() : Aborted(std::string(what) + " has changed meanwhile");
  }

  std::int64_t last_insert_id() const;
  /// Rows changed since it was opened, undone or not.
  std::int64_t total_changes() const;

  /// For SQLite's own calls, on this object's thread.
  sqlite3* connection() const { return connection_.get(); }

 private:
  friend class Rows;

  Database(UniqueHandle<ConnectionTraits> connection, std::string file, std::string vfs)
      : connection_(std::move(connection)), file_(std::move(file)), vfs_(std::move(vfs)) {}

  static Result<std::unique_ptr<Database>> Connect(const std::string& file, const std::string& vfs,
                                                   const char* settings);

  std::string LogPath() const;
  Result<sqlite3_stmt*> Prepare(const Sql& sql);
  /// The Status of a SQLite result code, noted when it concerns the storage.
  Status Failed(int code);
  std::int64_t changes() const;

  /// Whether a value that is bound lives as long as the statement runs.
  enum class Lives : bool { kTooShort, kLongEnough };

  template <typename... Values>
  Result<Rows> Run(const Sql& sql, [[maybe_unused]] Lives lives, const Values&... values) {
    TYLLM_ASSIGN(sqlite3_stmt* const statement, Prepare(sql));
    int index = 0;
    (Bind(statement, ++index, values, lives), ...);
    return Rows(*this, statement);
  }

  static void BindText(sqlite3_stmt* statement, int index, std::string_view text, Lives lives);
  static void BindDigest(sqlite3_stmt* statement, int index, const Sha256& digest, Lives lives);
  static void BindReal(sqlite3_stmt* statement, int index, double value);
  static void BindInteger(sqlite3_stmt* statement, int index, std::int64_t value);
  static void BindNull(sqlite3_stmt* statement, int index);

  template <typename T>
  static void Bind(sqlite3_stmt* statement, int index, const T& value, Lives lives) {
    if constexpr (std::integral<T> || std::is_enum_v<T>) {
      BindInteger(statement, index, static_cast<std::int64_t>(value));
    } else if constexpr (std::is_same_v<T, double>) {
      BindReal(statement, index, value);
    } else if constexpr (std::is_same_v<T, Sha256>) {
      BindDigest(statement, index, value, lives);
    } else {
      BindText(statement, index, value, lives);
    }
  }

  template <typename T>
  static void Bind(sqlite3_stmt* statement, int index, const std::optional<T>& value, Lives lives) {
    if (value) {
      Bind(statement, index, *value, lives);
    } else {
      BindNull(statement, index);
    }
  }

  std::unique_ptr<GatheredLog> log_;  ///< outlives the connection
  Fd owner_;                          ///< locked: nobody else opens the file; of readers none
  UniqueHandle<ConnectionTraits> connection_;
  std::string file_;
  std::string vfs_;
  bool only_looks_ = false;
  std::map<const Sql*, UniqueHandle<StatementTraits>> statements_;
  Status broken_;
  Status spoiled_;
  /// A sync of the log has failed; of the object that OpenLogSync returned, too.
  const std::shared_ptr<std::atomic<bool>> log_is_lost_ = std::make_shared<std::atomic<bool>>();
  std::int64_t changes_at_begin_ = 0;
};

}  // namespace tyllm::server::store
