// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::evaluate {

inline constexpr std::int64_t kChoices = 4;

/// 'A' for 0.
constexpr char LetterOf(std::int64_t choice) {
  return static_cast<char>('A' + choice);
}

struct Question {
  std::string text;
  std::array<std::string, kChoices> choices;
  std::int64_t answer = 0;  ///< of `choices`
  std::int64_t line = 0;    ///< of its file

  bool operator==(const Question&) const = default;
};

struct Subject {
  std::string name;  ///< "abstract_algebra"
  Path file;
  std::vector<Question> questions;
  std::vector<Question> examples;  ///< answered ones to show first, as many as were asked for
};

struct QuestionSet {
  std::string name;    ///< of its file or folder
  std::string sha256;  ///< of the names and bytes of all files that were read
  std::vector<Subject> subjects;

  std::int64_t size() const;
};

/// Multiple-choice questions in MMLU's format (docs/formats/questions.md): a file of one subject,
/// or a folder of such files, or one with the folders test/ and dev/. Examples come from the dev
/// file of a subject; `shots` of 0 reads none. `most` of 0 takes all questions of a subject.
Result<QuestionSet> LoadQuestions(FileSystem& files, const Path& path, std::int64_t shots,
                                  std::int64_t most);

/// Questions of one file's text; `what` names it in messages.
Result<std::vector<Question>> ParseQuestions(std::string_view text, std::string_view what);

}  // namespace tyllm::evaluate
