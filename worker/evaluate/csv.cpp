// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/csv.h"

#include <algorithm>
#include <utility>

namespace tyllm::evaluate {

namespace {

class CsvReader {
 public:
  CsvReader(std::string_view text, std::string_view what) : text_(text), what_(what) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) {
      text_.remove_prefix(kByteOrderMark.size());
    }
  }

  Result<std::vector<CsvRecord>> ReadAll() {
    std::vector<CsvRecord> records;
    while (at_ < text_.size()) {
      CsvRecord record{.line = line_, .fields = {}};
      TYLLM_TRY(ReadRecord(record.fields));
      if (record.fields.size() > 1 || !record.fields.front().empty()) {
        records.push_back(std::move(record));
      }
    }
    return records;
  }

 private:
  bool Ends() const { return at_ == text_.size(); }

  Status ReadRecord(std::vector<std::string>& fields) {
    while (true) {
      std::string& field = fields.emplace_back();
      TYLLM_TRY(!Ends() && text_[at_] == '"' ? ReadQuoted(field) : ReadPlain(field));
      if (Ends()) {
        return OkStatus();
      }
      if (text_[at_++] == '\n') {
        ++line_;
        return OkStatus();
      }
    }
  }

  /// Up to the comma or line feed that ends it.
  Status ReadPlain(std::string& field) {
    const std::size_t end = std::min(text_.find_first_of(",\n", at_), text_.size());
    field = text_.substr(at_, end - at_);
    at_ = end;
    const bool line_ends = Ends() || text_[at_] == '\n';
    if (line_ends && field.ends_with('\r')) {
      field.pop_back();
    }
    return OkStatus();
  }

  Status ReadQuoted(std::string& field) {
    const std::int64_t opened = line_;
    ++at_;
    while (true) {
      const std::size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) {
        return Malformed(opened, "a quote that is not closed", "a closing '\"'");
      }
      Append(text_.substr(at_, quote - at_), field);
      at_ = quote + 1;
      if (Ends() || text_[at_] != '"') {
        break;
      }
      field += '"';
      ++at_;
    }
    if (text_.substr(at_).starts_with("\r\n")) {
      ++at_;
    }
    if (!Ends() && text_[at_] != ',' && text_[at_] != '\n') {
      return Malformed(line_, "text after a closing quote",
                       "a comma or the line's end; write a quote inside quotes twice");
    }
    return OkStatus();
  }

  void Append(std::string_view piece, std::string& field) {
    for (const char c : piece) {
      line_ += c == '\n' ? 1 : 0;
    }
    field += piece;
  }

  Status Malformed(std::int64_t line, std::string_view found, std::string_view expected) const {
    return InvalidArgument(std::string(what_) + " line " + std::to_string(line) + ": has " +
                           std::string(found) + ", expected " + std::string(expected));
  }

  std::string_view text_;
  std::string_view what_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
};

}  // namespace

Result<std::vector<CsvRecord>> ParseCsv(std::string_view text, std::string_view what) {
  return CsvReader(text, what).ReadAll();
}

}  // namespace tyllm::evaluate
