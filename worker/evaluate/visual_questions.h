// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"

namespace tyllm::evaluate {

/// A question about an image (docs/formats/visual-questions.md).
struct VisualQuestion {
  std::string text;
  std::vector<std::string> choices;  ///< A, B, ...; empty: the text has them
  std::int64_t answer = 0;           ///< 0 for A
  std::string category;              ///< may be empty
  std::vector<std::uint8_t> image;   ///< a file's bytes, or
  Path image_file;
  std::int64_t line = 0;
};

/// Letters that can be answers.
inline constexpr std::int64_t kVisualChoices = 4;

/// Reads a TSV file, or a folder with one. Images stand in it in base64 or as names of files beside
/// it. At most `most` questions; 0: all. Errors name file and line.
Result<std::vector<VisualQuestion>> LoadVisualQuestions(const Path& path, std::int64_t most);

/// The questions of a file's text; files of images are below `folder`.
Result<std::vector<VisualQuestion>> ParseVisualQuestions(std::string_view text, const Path& folder,
                                                         std::string_view what, std::int64_t most);

/// Bytes of a text in base64 (RFC 4648), whose padding may be missing. Nothing for other texts.
std::optional<std::vector<std::uint8_t>> DecodeBase64(std::string_view text);

}  // namespace tyllm::evaluate
