// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// What Jinja templates are made of, for those who look for something in one.
namespace tyllm::model {

/// Where a place of a template is.
struct TemplatePlace {
  char quote = 0;             ///< of the string that it is in; 0: in the text around expressions
  std::string_view last_tag;  ///< what the last {% ... %} before it says
};

/// Goes through a template from its beginning: text, tags, and strings within those. The text
/// outlives it.
class TemplateScanner {
 public:
  explicit TemplateScanner(std::string_view text) : text_(text) {}

  /// Goes on to `end`.
  TemplatePlace GoTo(std::size_t end);

  /// What each {% ... %} before that place says.
  const std::vector<std::string_view>& statements() const { return statements_; }

 private:
  void Step();
  void Open(std::string_view rest);

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t begin_ = 0;   ///< of the tag
  std::string_view close_;  ///< of the tag; empty: in the text
  char quote_ = 0;
  std::vector<std::string_view> statements_;
};

/// What a string of a template says, up to an escape that is not read.
struct Unquoted {
  std::string text;
  bool is_whole = true;
};

/// `raw` is what stands between the quotes.
Unquoted Unquote(std::string_view raw);

/// Size of what stands before the quote that ends a string, or before `end` (where it is not empty)
/// in it.
std::size_t EndOfString(std::string_view rest, char quote, std::string_view end);

/// Takes words of an expression from its front.
class TemplateWords {
 public:
  explicit TemplateWords(std::string_view text) : rest_(text) {}

  std::string_view rest() const { return rest_; }

  TemplateWords& SkipBlanks();
  bool Take(std::string_view word);
  /// Empty where there is none.
  std::string_view TakeName();
  /// What joins strings.
  bool TakeJoin();

 private:
  std::string_view rest_;
};

}  // namespace tyllm::model
