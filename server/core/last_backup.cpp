// SPDX-License-Identifier: Apache-2.0
#include "server/core/last_backup.h"

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

}  // namespace tyllm::server::core
