// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/calibration_documents.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "common/format/json.h"

namespace tyllm::quant {

namespace {

namespace fs = std::filesystem;
using format::Json;

constexpr std::array<std::string_view, 3> kJsonEndings = {".jsonl", ".ndjson", ".json"};
constexpr std::array<std::string_view, 3> kTextEndings = {".txt", ".text", ".md"};
constexpr std::array<std::string_view, 4> kColumns = {"text", "messages", "conversations",
                                                      "content"};

template <std::size_t N>
bool EndsWithOne(const Path& path, const std::array<std::string_view, N>& endings) {
  const std::string name = path.filename().string();
  return std::ranges::any_of(endings, [&](std::string_view end) { return name.ends_with(end); });
}

/// What a file that is no text begins with, and what to do about it.
struct Refusal {
  std::string_view magic;
  std::string_view what;
};

constexpr std::array<Refusal, 4> kRefusals = {{
    {"PAR1",
     "a Parquet file, which is not read here; write it as JSON lines, for example with "
     "pandas: read_parquet(f).to_json('f.jsonl', orient='records', lines=True)"},
    {"\x1f\x8b", "compressed with gzip; unpack it"},
    {"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it"},
    {"PK\x03\x04", "a zip archive; unpack it and give the folder"},
}};

std::string_view Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string Members(const Json& line) {
  std::string names;
  for (const auto& [name, value] : line.items()) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return names.empty() ? "none" : names;
}

/// A text, or the texts of {"type": "text", "text": ...} pieces.
Result<std::string> ContentOf(const Json& content) {
  if (content.is_string()) {
    return content.get<std::string>();
  }
  std::string text;
  if (content.is_array()) {
    for (const Json& piece : content) {
      if (piece.is_object() && piece.contains("text") && piece["text"].is_string()) {
        text += piece["text"].get<std::string>();
      }
    }
    return text;
  }
  return InvalidArgument("a message's content is " + std::string(content.type_name()) +
                         ", expected a text");
}

std::string RoleOf(const std::string& role) {
  if (role == "human") {
    return "user";
  }
  return role == "gpt" ? "assistant" : role;
}

Result<model::ChatMessage> MessageOf(const Json& json) {
  for (const auto& [role, content] : {std::pair{"role", "content"}, std::pair{"from", "value"}}) {
    if (json.is_object() && json.contains(role) && json[role].is_string() &&
        json.contains(content)) {
      TYLLM_ASSIGN(std::string text, ContentOf(json[content]));
      return model::ChatMessage{RoleOf(json[role].get<std::string>()), std::move(text)};
    }
  }
  return InvalidArgument(
      "a message has neither role and content nor from and value, expected one of these pairs");
}

Result<CalibrationDocument> DocumentOf(const Json& value, std::string_view column) {
  CalibrationDocument document;
  if (value.is_string()) {
    document.text = value.get<std::string>();
    return document;
  }
  if (!value.is_array()) {
    return InvalidArgument("column '" + std::string(column) + "' is " + value.type_name() +
                           ", expected a text or a list of messages");
  }
  for (const Json& message : value) {
    TYLLM_ASSIGN(model::ChatMessage read, MessageOf(message));
    document.messages.push_back(std::move(read));
  }
  return document;
}

Result<CalibrationDocument> ParseLine(std::string_view text, const std::string& column) {
  TYLLM_ASSIGN(const Json line, format::ParseJson(text, "the line"));
  if (!line.is_object()) {
    return InvalidArgument("the line is " + std::string(line.type_name()) +
                           ", expected one JSON object a line");
  }
  if (!column.empty()) {
    if (!line.contains(column)) {
      return InvalidArgument("there is no column '" + column + "', found: " + Members(line) +
                             "; name one with --calibration-column");
    }
    return DocumentOf(line[column], column);
  }
  for (const std::string_view known : kColumns) {
    if (line.contains(known)) {
      return DocumentOf(line[std::string(known)], known);
    }
  }
  return InvalidArgument("there is no column text, messages, conversations or content, found: " +
                         Members(line) + "; name one with --calibration-column");
}

Result<std::vector<Path>> FilesBelow(const Path& folder) {
  std::vector<Path> found;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (it->path().filename().string().starts_with('.')) {
      it.disable_recursion_pending();
    } else if (it->is_regular_file(ignored) &&
               (EndsWithOne(it->path(), kJsonEndings) || EndsWithOne(it->path(), kTextEndings) ||
                it->path().extension() == ".parquet")) {
      found.push_back(it->path());
    }
  }
  if (error) {
    return FromErrno(error.value(), "listing " + folder.string());
  }
  std::ranges::sort(found);
  if (found.empty()) {
    return InvalidArgument("calibration folder " + folder.string() +
                           " has no .txt, .md or .jsonl file, expected at least one");
  }
  return found;
}

}  // namespace

Result<CalibrationDocuments> CalibrationDocuments::Open(const Path& source, std::string column) {
  CalibrationDocuments documents(std::move(column));
  std::error_code error;
  std::vector<Path> files = {source};
  if (fs::is_directory(source, error)) {
    TYLLM_ASSIGN(files, FilesBelow(source));
  }
  for (const Path& file : files) {
    TYLLM_TRY(documents.AddFile(file).Annotate("calibration text"));
  }
  return documents;
}

Status CalibrationDocuments::AddFile(const Path& path) {
  TYLLM_ASSIGN(MappedFile mapped, MappedFile::Open(path));
  const std::string_view text = Text(mapped.bytes());
  for (const Refusal& refusal : kRefusals) {
    if (text.starts_with(refusal.magic)) {
      return InvalidArgument(path.string() + " is " + std::string(refusal.what));
    }
  }
  const std::size_t file = files_.size();
  files_.push_back(std::move(mapped));
  if (!EndsWithOne(path, kJsonEndings)) {
    places_.push_back({file, 0, 0, text.size()});
    return OkStatus();
  }
  std::int64_t line = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    ++line;
    if (!IsBlank(text.substr(begin, end - begin))) {
      places_.push_back({file, line, begin, end - begin});
    }
    begin = end + 1;
  }
  return OkStatus();
}

Result<CalibrationDocument> CalibrationDocuments::Read(std::int64_t document,
                                                       std::size_t enough) const {
  const Place& place = places_[static_cast<std::size_t>(document)];
  std::string_view text = Text(files_[place.file].bytes()).substr(place.offset, place.bytes);
  if (place.line > 0) {
    auto parsed = ParseLine(text, column_);
    return parsed.ok() ? std::move(parsed)
                       : parsed.status().Annotate("calibration text " + NameOf(document));
  }
  const std::size_t end = text.size() <= enough ? std::string_view::npos : text.find('\n', enough);
  const bool is_cut = end != std::string_view::npos && end + 1 < text.size();
  return CalibrationDocument{.text = std::string(is_cut ? text.substr(0, end + 1) : text),
                             .messages = {},
                             .is_cut = is_cut};
}

std::string CalibrationDocuments::NameOf(std::int64_t document) const {
  const Place& place = places_[static_cast<std::size_t>(document)];
  const std::string file = files_[place.file].path().string();
  return place.line == 0 ? file : file + ":" + std::to_string(place.line);
}

}  // namespace tyllm::quant
