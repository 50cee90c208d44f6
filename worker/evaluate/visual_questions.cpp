// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/visual_questions.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

namespace tyllm::evaluate {

namespace {

/// Value of each character as a base64 digit, -1 for others.
constexpr std::array<std::int8_t, 256> DigitValues() {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kDigits.size(); ++i) {
    values[static_cast<std::uint8_t>(kDigits[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}

constexpr std::array<std::int8_t, 256> kDigitValues = DigitValues();

/// One record: fields by the names of their columns.
using Record = std::map<std::string, std::string, std::less<>>;

/// Splits tab-separated text as spreadsheets and pandas write it: a field in quotes may hold tabs
/// and line breaks, and a quote in it is written twice.
class TsvReader {
 public:
  explicit TsvReader(std::string_view text) : text_(text) {}

  std::int64_t line() const { return line_; }

  /// The next record's fields; empty at the end.
  std::vector<std::string> Next() {
    std::vector<std::string> fields;
    while (at_ < text_.size()) {
      fields.push_back(Field());
      if (at_ >= text_.size() || text_[at_] == '\n') {
        ++at_;
        break;
      }
      ++at_;  // the tab
    }
    line_ = next_line_;
    next_line_ += lines_in_record_ + 1;
    lines_in_record_ = 0;
    return fields;
  }

 private:
  std::string Field() {
    std::string field;
    if (at_ < text_.size() && text_[at_] == '"') {
      for (++at_; at_ < text_.size(); ++at_) {
        if (text_[at_] == '"' && (at_ + 1 >= text_.size() || text_[at_ + 1] != '"')) {
          ++at_;
          break;
        }
        at_ += text_[at_] == '"' ? 1 : 0;
        lines_in_record_ += text_[at_] == '\n' ? 1 : 0;
        field += text_[at_];
      }
    }
    while (at_ < text_.size() && text_[at_] != '\t' && text_[at_] != '\n') {
      field += text_[at_++];
    }
    if (field.ends_with('\r')) {
      field.pop_back();
    }
    return field;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::int64_t line_ = 0;
  std::int64_t next_line_ = 1;
  std::int64_t lines_in_record_ = 0;
};

std::string FieldOf(const Record& record, std::string_view column) {
  const auto found = record.find(column);
  return found == record.end() ? std::string() : found->second;
}

Status ReadImage(const Record& record, const Path& folder, std::string_view what,
                 VisualQuestion& question) {
  std::string name = FieldOf(record, "image_path");
  const std::string image = FieldOf(record, "image");
  constexpr std::size_t kLongestName = 255;
  if (name.empty() && image.size() > kLongestName) {
    auto bytes = DecodeBase64(image);
    if (!bytes) {
      return InvalidArgument(std::string(what) +
                             ": column image is neither base64 nor a file name");
    }
    question.image = *std::move(bytes);
    return OkStatus();
  }
  name = name.empty() ? image : name;
  const Path path = Path(name).lexically_normal();
  if (name.empty() || path.is_absolute() || *path.begin() == "..") {
    return InvalidArgument(std::string(what) +
                           ": expected column image with base64 or a file's name, or image_path, "
                           "within the folder of the questions; found '" +
                           name.substr(0, 80) + "'");
  }
  question.image_file = folder / path;
  return OkStatus();
}

Result<VisualQuestion> ReadQuestion(const Record& record, const Path& folder,
                                    std::string_view what) {
  VisualQuestion question;
  question.text = FieldOf(record, "question");
  question.category = FieldOf(record, "category");
  for (const char* const letter : {"A", "B", "C", "D"}) {
    const std::string choice = FieldOf(record, letter);
    if (choice.empty() || choice == "nan") {
      break;
    }
    question.choices.push_back(choice);
  }
  const std::string answer = FieldOf(record, "answer");
  const std::int64_t most =
      question.choices.empty() ? kVisualChoices : std::ssize(question.choices);
  question.answer = answer.size() == 1 ? std::int64_t{answer[0]} - 'A' : -1;
  if (question.text.empty() || question.answer < 0 || question.answer >= most) {
    return InvalidArgument(std::string(what) + ": expected a question and an answer of A to " +
                           static_cast<char>('A' + most - 1) + ", found '" +
                           question.text.substr(0, 40) + "' and '" + answer.substr(0, 20) + "'");
  }
  TYLLM_TRY(ReadImage(record, folder, what, question));
  return question;
}

Result<Path> FileOf(const Path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return path;
  }
  std::vector<Path> files;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".tsv") {
      files.push_back(it->path());
    }
  }
  if (files.size() != 1) {
    return InvalidArgument("folder " + path.string() + " has " + std::to_string(files.size()) +
                           " .tsv files with questions, expected one");
  }
  return files.front();
}

}  // namespace

std::optional<std::vector<std::uint8_t>> DecodeBase64(std::string_view text) {
  while (text.ends_with('=')) {
    text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) {
    return std::nullopt;
  }
  std::vector<std::uint8_t> bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = kDigitValues[static_cast<std::uint8_t>(c)];
    if (value < 0) {
      return std::nullopt;
    }
    bits = bits << 6U | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<std::uint8_t>(bits >> static_cast<unsigned>(count)));
    }
  }
  return bytes;
}

Result<std::vector<VisualQuestion>> ParseVisualQuestions(std::string_view text, const Path& folder,
                                                         std::string_view what, std::int64_t most) {
  TsvReader reader(text);
  const std::vector<std::string> columns = reader.Next();
  for (const char* const needed : {"question", "answer"}) {
    if (std::ranges::find(columns, needed) == columns.end()) {
      return InvalidArgument(std::string(what) + " has no column '" + needed +
                             "'; expected a first line with the names of the columns");
    }
  }
  std::vector<VisualQuestion> questions;
  for (auto fields = reader.Next(); !fields.empty(); fields = reader.Next()) {
    if (fields.size() == 1 && fields.front().empty()) {
      continue;
    }
    const std::string place = std::string(what) + ", line " + std::to_string(reader.line());
    if (fields.size() != columns.size()) {
      return InvalidArgument(place + " has " + std::to_string(fields.size()) +
                             " fields, expected " + std::to_string(columns.size()) +
                             " as in the first line");
    }
    Record record;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      record[columns[i]] = std::move(fields[i]);
    }
    TYLLM_ASSIGN(VisualQuestion question, ReadQuestion(record, folder, place));
    question.line = reader.line();
    questions.push_back(std::move(question));
    if (most > 0 && std::ssize(questions) == most) {
      break;
    }
  }
  if (questions.empty()) {
    return InvalidArgument(std::string(what) + " has no questions");
  }
  return questions;
}

Result<std::vector<VisualQuestion>> LoadVisualQuestions(const Path& path, std::int64_t most) {
  TYLLM_ASSIGN(const Path file, FileOf(path));
  auto text = LocalFileSystem().Read(file);
  if (!text.ok()) {
    return text.status().Annotate("questions");
  }
  return ParseVisualQuestions(*text, file.parent_path(), file.string(), most);
}

}  // namespace tyllm::evaluate
