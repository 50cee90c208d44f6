// SPDX-License-Identifier: Apache-2.0
#include "common/cli/help_text.h"

#include <algorithm>
#include <utility>

#include "common/cli/option_values.h"

namespace tyllm::cli {

namespace {

constexpr std::size_t kColumns = 96;
constexpr std::size_t kWidestLabel = 30;  // a longer label has its text on the next line

using Rows = std::vector<std::pair<std::string, std::string>>;

// `text` broken between words; every line but the first is indented. `column` is where it starts.
std::string Wrapped(std::string_view text, std::size_t column, std::size_t indent) {
  std::string out;
  std::size_t at = column;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (at > indent && at + 1 + end > kColumns) {
      out += "\n" + std::string(indent, ' ');
      at = indent;
    } else if (at > indent) {
      out += ' ';
      ++at;
    }
    out += text.substr(0, end);
    at += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::size_t WidestLabel(const Rows& rows) {
  std::size_t widest = 0;
  for (const auto& row : rows) {
    if (row.first.size() <= kWidestLabel) {
      widest = std::max(widest, row.first.size());
    }
  }
  return widest;
}

std::string Section(std::string_view heading, const Rows& rows, std::size_t widest) {
  if (rows.empty()) {
    return {};
  }
  const std::size_t indent = 2 + widest + 2;
  std::string out = "\n" + std::string(heading) + ":\n";
  for (const auto& [label, text] : rows) {
    out += "  " + label;
    out += label.size() > widest ? "\n" + std::string(indent, ' ')
                                 : std::string(indent - 2 - label.size(), ' ');
    out += Wrapped(text, indent, indent) + "\n";
  }
  return out;
}

std::string Section(std::string_view heading, const Rows& rows) {
  return Section(heading, rows, WidestLabel(rows));
}

std::string Label(const Option& option) {
  std::string label;
  for (const std::string& name : Spellings(option)) {
    label += (label.empty() ? "" : ", ") + name;
  }
  const std::string value = ValueNameOf(option);
  if (!IsPositional(option) && !value.empty()) {
    label += " " + value;
  }
  return label;
}

std::string Explained(const Option& option) {
  std::string text(option.help);
  if (option.required && !IsPositional(option)) {
    text += " (required)";
  } else if (const std::string initial = DefaultOf(option); !initial.empty()) {
    text += " (default: " + initial + ")";
  }
  if (std::holds_alternative<std::vector<std::string>*>(option.target) && !IsPositional(option)) {
    text += " (may be repeated)";
  }
  return text;
}

Rows RowsOf(std::span<const Option> options, bool positional) {
  Rows rows;
  for (const Option& option : options) {
    if (IsPositional(option) == positional) {
      rows.emplace_back(Label(option), Explained(option));
    }
  }
  return rows;
}

Rows WithHelp(Rows rows) {
  rows.emplace_back("-h, --help", "show this text and exit");
  return rows;
}

Rows WithVersion(Rows rows) {
  rows.emplace_back("--version", "show the version and exit");
  return rows;
}

std::string UsageOf(const Option& option) {
  std::string text = IsPositional(option) ? std::string(option.name) : NameOf(option);
  if (const std::string value = ValueNameOf(option); !IsPositional(option) && !value.empty()) {
    text += " " + value;
  }
  return text + (IsPositional(option) && IsList(option) ? "..." : "");
}

// Required options by name, the others as "[options]", positionals last.
std::string UsageOf(std::span<const Option> options) {
  std::string named;
  std::string positional;
  for (const Option& option : options) {
    if (IsPositional(option)) {
      positional += option.required ? " " + UsageOf(option) : " [" + UsageOf(option) + "]";
    } else if (option.required) {
      named += " " + UsageOf(option);
    }
  }
  return named + " [options]" + positional;
}

bool BeginsWith(std::span<const std::string> words, std::span<const std::string> prefix) {
  return words.size() > prefix.size() && std::equal(prefix.begin(), prefix.end(), words.begin());
}

std::string CommandSections(std::span<const DeclaredCommand> commands,
                            std::span<const std::string> words) {
  std::vector<std::pair<std::string, Rows>> groups;
  for (const DeclaredCommand& command : commands) {
    if (!BeginsWith(command.words, words)) {
      continue;
    }
    const std::string heading(command.row->group.empty() ? "Commands" : command.row->group);
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const auto& g) { return g.first == heading; });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {heading, {}});
    }
    std::string label;
    for (std::size_t i = words.size(); i < command.words.size(); ++i) {
      label += (label.empty() ? "" : " ") + command.words[i];
    }
    group->second.emplace_back(label, command.row->summary);
  }
  std::size_t widest = 0;
  for (const auto& group : groups) {
    widest = std::max(widest, WidestLabel(group.second));
  }
  std::string out;
  for (const auto& [heading, rows] : groups) {
    out += Section(heading, rows, widest);
  }
  return out;
}

}  // namespace

std::string Join(const ProgramInfo& program, std::span<const std::string> words) {
  std::string text(program.name);
  for (const std::string& word : words) {
    text += " " + word;
  }
  return text;
}

std::string ProgramHelp(const ProgramInfo& program, std::span<const DeclaredCommand> commands,
                        std::span<const Option> global, std::span<const std::string> words) {
  const std::string name = Join(program, words);
  std::string out;
  if (words.empty()) {
    out = Wrapped(std::string(program.name) + ": " + std::string(program.summary), 0, 0) + "\n\n";
  }
  out += "Usage: " + name + " <command> [options]\n";
  out += CommandSections(commands, words);
  out += Section("Options", WithVersion(WithHelp(RowsOf(global, false))));
  out += "\n'" + name + " <command> --help' shows the options of a command.\n";
  return out;
}

std::string CommandHelp(const ProgramInfo& program, const DeclaredCommand& command,
                        std::span<const Option> global) {
  const bool is_program = command.row == nullptr;
  const std::string name = Join(program, command.words);
  std::string out =
      Wrapped(name + ": " + std::string(is_program ? program.summary : command.row->summary), 0,
              0) +
      "\n\nUsage: " + Wrapped(name + UsageOf(command.spec.options), 7, 9) + "\n";
  if (!command.spec.description.empty()) {
    out += "\n" + Wrapped(command.spec.description, 0, 0) + "\n";
  }
  out += Section("Arguments", RowsOf(command.spec.options, true));
  const Rows options = WithHelp(RowsOf(command.spec.options, false));
  out += Section("Options", is_program ? WithVersion(options) : options);
  out += Section("Options of every command", RowsOf(global, false));
  if (!command.spec.examples.empty()) {
    out += "\nExamples:\n";
    for (const std::string& example : command.spec.examples) {
      out += "  " + example + "\n";
    }
  }
  return out;
}

}  // namespace tyllm::cli
