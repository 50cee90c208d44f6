// SPDX-License-Identifier: Apache-2.0
#include "server/core/last_backup.h"

#include <algorithm>

#include "common/format/json.h"

namespace tyllm::server::core {

namespace {

Path NoteOf(const Path& data) {
  return data / "last_backup.json";
}

}  // namespace

Status NoteBackup(FileSystem& files, const Path& data, std::int64_t unix_ms) {
  format::Json note = format::Json::object();
  note["unix_ms"] = unix_ms;
  return WriteFileAtomically(files, NoteOf(data), format::PrettyJson(note));
}

std::optional<std::int64_t> LastBackup(FileSystem& files, const Path& data) {
  const Path file = NoteOf(data);
  const Result<std::string> text = files.Read(file);
  if (!text.ok()) {
    return std::nullopt;
  }
  const Result<format::Json> note = format::ParseJson(*text, file.string());
  if (!note.ok() || !note->is_object() || !note->contains("unix_ms") ||
      !(*note)["unix_ms"].is_number_integer()) {
    return std::nullopt;
  }
  return (*note)["unix_ms"].get<std::int64_t>();
}

Milliseconds BackupAge::Of(std::int64_t made_unix_ms) {
  const Clock::Steady now = machine_.Now();
  if (!known_ || known_->made_unix_ms != made_unix_ms) {
    known_ = {made_unix_ms, now};
  }
  return std::max(Milliseconds(machine_.UnixMillis() - made_unix_ms),
                  std::chrono::duration_cast<Milliseconds>(now - known_->since));
}

}  // namespace tyllm::server::core
