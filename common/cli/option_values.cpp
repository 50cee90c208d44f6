// SPDX-License-Identifier: Apache-2.0
#include "common/cli/option_values.h"

#include <charconv>
#include <cmath>
#include <system_error>

namespace tyllm::cli {

namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

Status Wrong(const Option& option, std::string_view found, std::string_view expected) {
  return InvalidArgument(NameOf(option) + " is '" + std::string(found) + "', expected " +
                         std::string(expected));
}

template <typename Number>
Status StoreNumber(const Option& option, std::string_view text, std::string_view expected,
                   Number& target) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    return Wrong(option, text, std::string(expected) + " within 64 bits");
  }
  if (error != std::errc() || end != text.data() + text.size()) {
    return Wrong(option, text, expected);
  }
  target = value;
  return OkStatus();
}

Status StoreInteger(const Option& option, std::string_view text, std::int64_t& target) {
  return StoreNumber(option, text, "a whole number", target);
}

Status StoreReal(const Option& option, std::string_view text, double& target) {
  double value = 0;
  TYLLM_TRY(StoreNumber(option, text, "a number", value));
  if (!std::isfinite(value)) {
    return Wrong(option, text, "a finite number");
  }
  target = value;
  return OkStatus();
}

Status StoreFlag(const Option& option, std::string_view text, bool& target) {
  if (text != "true" && text != "false") {
    return Wrong(option, text, "no value (it is a flag)");
  }
  target = text == "true";
  return OkStatus();
}

Status StorePath(const Option& option, std::string_view text, std::filesystem::path& target) {
  if (text.empty()) {
    return Wrong(option, text, "a path");
  }
  target = text;
  return OkStatus();
}

Status StoreIntegers(const Option& option, std::span<const std::string> given,
                     std::vector<std::int64_t>& target) {
  std::vector<std::int64_t> values;
  for (const std::string& text : given) {
    for (const std::string& part : Split(text, ',')) {
      std::int64_t value = 0;
      if (const Status status = StoreInteger(option, part, value); !status.ok()) {
        return Wrong(option, text, "whole numbers separated by commas");
      }
      values.push_back(value);
    }
  }
  target = std::move(values);
  return OkStatus();
}

std::string Shown(double value) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return error == std::errc() ? std::string(buffer, end) : std::string();
}

std::string Shown(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t value : values) {
    text += (text.empty() ? "" : ",") + std::to_string(value);
  }
  return text;
}

}  // namespace

bool IsPositional(const Option& option) {
  return !option.name.starts_with('-');
}

bool IsFlag(const Option& option) {
  return std::holds_alternative<bool*>(option.target);
}

bool IsList(const Option& option) {
  return std::holds_alternative<std::vector<std::string>*>(option.target) ||
         std::holds_alternative<std::vector<std::int64_t>*>(option.target);
}

std::vector<std::string> Spellings(const Option& option) {
  std::vector<std::string> names = Split(option.name, ',');
  for (std::string& name : names) {
    if (name.starts_with('!')) {
      name.erase(0, 1);
    }
  }
  return names;
}

std::string NameOf(const Option& option) {
  const std::vector<std::string> names = Spellings(option);
  for (const std::string& name : names) {
    if (name.starts_with("--")) {
      return name;
    }
  }
  return names.front();
}

std::string ValueNameOf(const Option& option) {
  if (const auto* choice = std::get_if<Choice>(&option.target);
      choice != nullptr && option.value_name.empty()) {
    return choice->names;
  }
  return std::string(option.value_name);
}

std::string DefaultOf(const Option& option) {
  if (option.required) {
    return {};
  }
  return std::visit(Overloaded{
                        [&](bool* flag) { return std::string(*flag ? "on" : ""); },
                        [](const std::string* text) { return *text; },
                        [](const std::filesystem::path* path) { return path->string(); },
                        [](const std::int64_t* number) { return std::to_string(*number); },
                        [](const double* number) { return Shown(*number); },
                        [](const std::optional<std::string>* text) { return text->value_or(""); },
                        [](const std::optional<std::filesystem::path>* path) {
                          return path->value_or(std::filesystem::path()).string();
                        },
                        [](const std::optional<std::int64_t>* number) {
                          return number->has_value() ? std::to_string(**number) : std::string();
                        },
                        [](const std::optional<double>* number) {
                          return number->has_value() ? Shown(**number) : std::string();
                        },
                        [](const std::vector<std::string>* texts) {
                          return texts->size() == 1 ? texts->front() : std::string();
                        },
                        [](const std::vector<std::int64_t>* numbers) { return Shown(*numbers); },
                        [](const Choice& choice) { return choice.initial; },
                    },
                    option.target);
}

Status StoreValues(const Option& option, std::span<const std::string> given) {
  if (given.empty()) {
    return OkStatus();
  }
  if (given.size() > 1 && !IsList(option) && !IsFlag(option)) {
    return InvalidArgument(NameOf(option) + " is given " + std::to_string(given.size()) +
                           " times ('" + given[0] + "', '" + given[1] + "'), expected once");
  }
  const std::string& text = given.back();  // of a flag and its negative the last one holds
  return std::visit(
      Overloaded{
          [&](bool* flag) { return StoreFlag(option, text, *flag); },
          [&](std::string* target) {
            *target = text;
            return OkStatus();
          },
          [&](std::optional<std::string>* target) {
            *target = text;
            return OkStatus();
          },
          [&](std::filesystem::path* target) { return StorePath(option, text, *target); },
          [&](std::optional<std::filesystem::path>* target) {
            return StorePath(option, text, target->emplace());
          },
          [&](std::int64_t* target) { return StoreInteger(option, text, *target); },
          [&](std::optional<std::int64_t>* target) {
            return StoreInteger(option, text, target->emplace());
          },
          [&](double* target) { return StoreReal(option, text, *target); },
          [&](std::optional<double>* target) { return StoreReal(option, text, target->emplace()); },
          [&](std::vector<std::string>* target) {
            target->assign(given.begin(), given.end());
            return OkStatus();
          },
          [&](std::vector<std::int64_t>* target) { return StoreIntegers(option, given, *target); },
          [&](const Choice& choice) { return choice.set(text).Annotate(NameOf(option)); },
      },
      option.target);
}

}  // namespace tyllm::cli
