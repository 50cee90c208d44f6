// SPDX-License-Identifier: Apache-2.0
#include "common/cli/command_line.h"

#include <algorithm>
#include <map>

#include <CLI/CLI.hpp>

#include "common/cli/option_values.h"

namespace tyllm::cli {

namespace {

// Values are taken as they are: several of one option are all kept (StoreValues judges them), and
// "[...]" is text, not a list.
CLI::Option* AddOption(CLI::App& app, const Option& option) {
  if (IsFlag(option)) {
    return app.add_flag(std::string(option.name))
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  CLI::Option* added = app.add_option(std::string(option.name));
  added->type_name(ValueNameOf(option))->allow_extra_args(false);
  if (IsPositional(option) && IsList(option)) {
    added->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args(true);
  } else {
    added->expected(1);
  }
  return added->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void PrepareApp(CLI::App& app) {
  app.set_help_flag("");
  app.allow_extras();
  app.fallthrough();
  app.require_subcommand(0, 1);
  app.add_flag("-h,--help");
}

// The node of the command tree that `words` names, made with its parents when absent.
CLI::App& NodeOf(CLI::App& root, std::span<const std::string> words) {
  CLI::App* node = &root;
  for (const std::string& word : words) {
    const std::vector<CLI::App*> children =
        node->get_subcommands([&](CLI::App* app) { return app->get_name() == word; });
    if (children.empty()) {
      node = node->add_subcommand(word);
      PrepareApp(*node);
    } else {
      node = children.front();
    }
  }
  return *node;
}

std::vector<std::vector<std::string>> ValuesOf(const std::vector<CLI::Option*>& options) {
  std::vector<std::vector<std::string>> values;
  values.reserve(options.size());
  for (const CLI::Option* option : options) {
    values.push_back(option->results());
  }
  return values;
}

Status InOwnWords(const CLI::ParseError& error) {
  const std::string what = error.what();
  if (error.get_name() == "ArgumentMismatch") {
    return InvalidArgument(what.substr(0, what.find(':')) +
                           " has no value; write one after it (--help shows which)");
  }
  return InvalidArgument(what);
}

void ReadChain(const CLI::App& root, ParsedLine& line) {
  const CLI::App* node = &root;
  while (true) {
    line.help = line.help || node->count("--help") > 0;
    const std::vector<CLI::App*> chosen = node->get_subcommands();
    if (chosen.empty()) {
      return;
    }
    node = chosen.front();
    line.words.push_back(node->get_name());
  }
}

}  // namespace

Result<ParsedLine> ParseLine(std::span<const DeclaredCommand> commands,
                             std::span<const Option> global, int argc, const char* const* argv) {
  CLI::App root;
  PrepareApp(root);
  root.add_flag("--version");
  std::vector<CLI::Option*> global_options;
  for (const Option& option : global) {
    global_options.push_back(AddOption(root, option));
  }
  std::map<const DeclaredCommand*, std::vector<CLI::Option*>> options;
  for (const DeclaredCommand& command : commands) {
    CLI::App& node = NodeOf(root, command.words);
    for (const Option& option : command.spec.options) {
      options[&command].push_back(AddOption(node, option));
    }
  }
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return InOwnWords(error);
  }
  ParsedLine line;
  ReadChain(root, line);
  line.version = root.count("--version") > 0;
  line.unknown = root.remaining(true);
  std::erase(line.unknown, "--");  // the mark before positionals: CLI11 counts it as remaining
  line.global_values = ValuesOf(global_options);
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [&](const DeclaredCommand& c) { return c.words == line.words; });
  if (found != commands.end()) {
    line.command = &*found;
    line.values = ValuesOf(options[line.command]);
  }
  return line;
}

}  // namespace tyllm::cli
