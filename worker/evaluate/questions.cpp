// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/questions.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/digest.h"
#include "worker/evaluate/csv.h"

namespace tyllm::evaluate {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTestEndings[] = {"_test", "_val"};
constexpr std::string_view kDevEnding = "_dev";
constexpr std::size_t kFields = 2 + static_cast<std::size_t>(kChoices);

std::string SubjectOf(const Path& file) {
  std::string name = file.stem().string();
  for (const std::string_view ending : kTestEndings) {
    if (name.ends_with(ending)) {
      name.resize(name.size() - ending.size());
    }
  }
  return name;
}

/// Some exports of the questions start with the columns' names.
bool IsHeading(const CsvRecord& record) {
  std::string last = record.fields.back();
  std::ranges::transform(last, last.begin(), [](unsigned char c) { return std::tolower(c); });
  return last == "answer" || last == "target";
}

Result<Question> ToQuestion(CsvRecord record, std::string_view what) {
  const std::string place = std::string(what) + " line " + std::to_string(record.line) + ": ";
  if (record.fields.size() != kFields) {
    return InvalidArgument(place + "has " + std::to_string(record.fields.size()) +
                           " fields, expected 6: the question, four choices and the answer's "
                           "letter; put fields with commas in quotes");
  }
  const std::string& answer = record.fields.back();
  if (answer.size() != 1 || answer.front() < 'A' || answer.front() >= LetterOf(kChoices)) {
    return InvalidArgument(place + "the answer is '" + answer.substr(0, 40) +
                           "', expected A, B, C or D");
  }
  Question question{.text = std::move(record.fields.front()),
                    .choices = {},
                    .answer = answer.front() - 'A',
                    .line = record.line};
  std::move(record.fields.begin() + 1, record.fields.end() - 1, question.choices.begin());
  return question;
}

/// The files of questions of a folder, by name.
Result<std::vector<Path>> QuestionFiles(const Path& folder) {
  std::error_code error;
  const Path tests = fs::is_directory(folder / "test", error) ? folder / "test" : folder;
  std::vector<Path> found;
  for (fs::directory_iterator it(tests, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const Path& path = it->path();
    if (path.extension() == ".csv" && !path.stem().string().ends_with(kDevEnding)) {
      found.push_back(path);
    }
  }
  if (error) {
    return NotFound(tests.string() + " cannot be listed: " + error.message());
  }
  if (found.empty()) {
    return NotFound(tests.string() +
                    " has no questions, expected files such as astronomy_test.csv in it or in "
                    "its folder test/");
  }
  std::ranges::sort(found);
  return found;
}

/// Where the examples of the subject of `file` may be.
std::vector<Path> DevFiles(const Path& file, const std::string& subject) {
  const Path folder = file.parent_path();
  const Path dev = folder / ".." / "dev";
  return {folder / (subject + std::string(kDevEnding) + ".csv"),
          folder / "dev" / (subject + std::string(kDevEnding) + ".csv"),
          dev / (subject + std::string(kDevEnding) + ".csv"), dev / (subject + ".csv")};
}

/// Reads the files of a set and digests them on the way.
class SetReader {
 public:
  SetReader(FileSystem& files, std::int64_t shots, std::int64_t most)
      : files_(files), shots_(shots), most_(most) {}

  Result<Subject> Read(const Path& file) {
    Subject subject{.name = SubjectOf(file), .file = file, .questions = {}, .examples = {}};
    TYLLM_ASSIGN(subject.questions, ReadFile(file));
    if (most_ > 0 && static_cast<std::int64_t>(subject.questions.size()) > most_) {
      subject.questions.resize(static_cast<std::size_t>(most_));
    }
    if (shots_ > 0) {
      TYLLM_ASSIGN(subject.examples, ReadExamples(file, subject.name));
    }
    return subject;
  }

  std::string Digest() { return digester_.Finish().Hex(); }

 private:
  Result<std::vector<Question>> ReadFile(const Path& file) {
    const auto read = files_.Read(file);
    if (!read.ok()) {
      return Status(read.status().code(), "questions: " + read.status().message() +
                                              "; give a CSV file, or a folder of them");
    }
    const std::string& text = *read;
    digester_.Update(file.filename().string() + '\n' + std::to_string(text.size()) + '\n' + text);
    return ParseQuestions(text, file.string());
  }

  Result<std::vector<Question>> ReadExamples(const Path& file, const std::string& subject) {
    std::error_code error;
    const std::vector<Path> places = DevFiles(file, subject);
    const auto found =
        std::ranges::find_if(places, [&](const Path& path) { return fs::exists(path, error); });
    if (found == places.end()) {
      return NotFound("the examples of " + subject + " are not there: --shots " +
                      std::to_string(shots_) + " needs " + places.front().string() +
                      " or the folder dev/ beside test/");
    }
    TYLLM_ASSIGN(std::vector<Question> examples, ReadFile(*found));
    if (static_cast<std::int64_t>(examples.size()) < shots_) {
      return InvalidArgument(found->string() + " has " + std::to_string(examples.size()) +
                             " examples, expected at least " + std::to_string(shots_) +
                             " (--shots); add some or ask for fewer");
    }
    examples.resize(static_cast<std::size_t>(shots_));
    return examples;
  }

  FileSystem& files_;
  std::int64_t shots_;
  std::int64_t most_;
  Sha256Stream digester_;
};

}  // namespace

std::int64_t QuestionSet::size() const {
  std::int64_t count = 0;
  for (const Subject& subject : subjects) {
    count += static_cast<std::int64_t>(subject.questions.size());
  }
  return count;
}

Result<std::vector<Question>> ParseQuestions(std::string_view text, std::string_view what) {
  TYLLM_ASSIGN(std::vector<CsvRecord> records, ParseCsv(text, what));
  if (!records.empty() && IsHeading(records.front())) {
    records.erase(records.begin());
  }
  if (records.empty()) {
    return InvalidArgument(std::string(what) + " has no questions, expected lines of question, " +
                           "four choices and the answer's letter");
  }
  std::vector<Question> questions;
  for (CsvRecord& record : records) {
    TYLLM_ASSIGN(questions.emplace_back(), ToQuestion(std::move(record), what));
  }
  return questions;
}

Result<QuestionSet> LoadQuestions(FileSystem& files, const Path& path, std::int64_t shots,
                                  std::int64_t most) {
  std::error_code error;
  std::vector<Path> found = {path};
  if (fs::is_directory(path, error)) {
    TYLLM_ASSIGN(found, QuestionFiles(path));
  }
  const Path whole = fs::absolute(path).lexically_normal();
  QuestionSet set{.name = (whole.has_filename() ? whole : whole.parent_path()).filename().string(),
                  .sha256 = {},
                  .subjects = {}};
  SetReader reader(files, shots, most);
  for (const Path& file : found) {
    TYLLM_ASSIGN(Subject subject, reader.Read(file));
    const auto same = [&](const Subject& other) { return other.name == subject.name; };
    if (std::ranges::any_of(set.subjects, same)) {
      return InvalidArgument(file.string() + " is a second file of the subject " + subject.name +
                             ", expected one; keep its test or its val file");
    }
    set.subjects.push_back(std::move(subject));
  }
  set.sha256 = reader.Digest();
  return set;
}

}  // namespace tyllm::evaluate
