// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tyllm::model {

/// What variables of a Jinja template hold when nothing of the conversation was put into them.
class TemplateVariables {
 public:
  /// What the template's {% ... %} say; their text outlives it.
  explicit TemplateVariables(std::vector<std::string_view> statements)
      : statements_(std::move(statements)) {}

  struct Values {
    std::set<std::string> texts;            ///< constants; false and none are empty
    std::optional<std::string> expression;  ///< one that is not followed
  };

  /// Of every {% set name = ... %}: constants, those of other variables, and those behind `else`.
  /// Nothing where it is set to what comes from messages, or nowhere.
  Values Of(std::string_view name) const;

 private:
  using Names = std::set<std::string_view>;

  void Collect(std::string_view name, Names& seen, Values& values) const;
  void Add(std::string_view expression, Names& seen, Values& values) const;
  bool IsSet(std::string_view name) const;

  std::vector<std::string_view> statements_;
};

}  // namespace tyllm::model
