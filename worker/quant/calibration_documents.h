// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"
#include "common/base/mapped_file.h"
#include "worker/model/chat_template.h"

namespace tyllm::quant {

/// A document of calibration text.
struct CalibrationDocument {
  std::string text;                          ///< empty when there are messages
  std::vector<model::ChatMessage> messages;  ///< of a conversation
  bool is_cut = false;                       ///< the file goes on
};

/// The documents of a calibration source, found but not read until they are asked for:
/// - a text file (UTF-8): one document;
/// - JSON lines (.jsonl, .ndjson, .json): one document a line. `column` holds a text, or messages
///   ({"role", "content"} or {"from", "value"}); empty: the first of text, messages, conversations,
///   content that the line has;
/// - a folder: all such files below it, by name; hidden ones and other kinds are passed over.
/// Parquet and compressed files are refused with what to do. Errors name file and line.
class CalibrationDocuments {
 public:
  static Result<CalibrationDocuments> Open(const Path& source, std::string column);

  std::int64_t size() const { return static_cast<std::int64_t>(places_.size()); }

  /// Of a text file that is longer, about `enough` bytes, up to the end of a line.
  Result<CalibrationDocument> Read(std::int64_t document, std::size_t enough) const;

  /// "articles.jsonl:17", with its folders.
  std::string NameOf(std::int64_t document) const;

 private:
  /// Where a document stands.
  struct Place {
    std::size_t file = 0;
    std::int64_t line = 0;  ///< from 1; 0: the whole file
    std::size_t offset = 0;
    std::size_t bytes = 0;
  };

  explicit CalibrationDocuments(std::string column) : column_(std::move(column)) {}

  Status AddFile(const Path& path);

  std::string column_;
  std::vector<MappedFile> files_;
  std::vector<Place> places_;
};

}  // namespace tyllm::quant
