// SPDX-License-Identifier: Apache-2.0
#include "worker/model/needed_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
#include <string_view>

namespace tyllm::model {

namespace {

enum class Whose : std::uint8_t { kEveryModel, kModelsThatSee };

struct NeededFile {
  Whose whose = Whose::kEveryModel;
  bool required = false;
  std::array<std::string_view, 3> names;  ///< any of them will do; unused ones are empty
  std::string_view without_it;
};

/// Files that this program and the readers of a model it writes for look for, and no others.
constexpr std::array kNeeded = {
    NeededFile{Whose::kEveryModel,
               true,
               {"tokenizer.json", "tokenizer.model", ""},
               "the tokenizer cannot be loaded"},
    NeededFile{Whose::kModelsThatSee,
               true,
               {"preprocessor_config.json", "", ""},
               "images cannot be prepared"},
    NeededFile{Whose::kEveryModel,
               false,
               {"tokenizer_config.json", "", ""},
               "special tokens and the tokenizer's class are guessed"},
    NeededFile{Whose::kEveryModel,
               false,
               {"generation_config.json", "", ""},
               "end-of-text tokens and sampling defaults are guessed"},
    NeededFile{Whose::kModelsThatSee,
               false,
               {"video_preprocessor_config.json", "preprocessor_config.json", ""},
               "videos cannot be prepared"},
};

bool IsThere(const Path& directory, std::string_view name) {
  std::error_code ignored;
  return !name.empty() && std::filesystem::is_regular_file(directory / name, ignored);
}

/// A template stands in a file of its own or in tokenizer_config.json.
bool HasChatTemplate(const Path& directory) {
  if (IsThere(directory, "chat_template.jinja")) {
    return true;
  }
  const auto config = format::ReadJsonFile(directory / "tokenizer_config.json");
  return config.ok() && config->is_object() && config->contains("chat_template");
}

}  // namespace

std::vector<MissingFile> FindMissingFiles(const Path& directory, const format::Json& config) {
  const bool sees = config.is_object() && config.contains("vision_config");
  std::vector<MissingFile> missing;
  for (const NeededFile& file : kNeeded) {
    const bool is_there = std::ranges::any_of(
        file.names, [&](std::string_view name) { return IsThere(directory, name); });
    if (!is_there && (sees || file.whose == Whose::kEveryModel)) {
      missing.push_back(
          {std::string(file.names.front()), std::string(file.without_it), file.required});
    }
  }
  if (!HasChatTemplate(directory)) {
    missing.push_back({"chat_template.jinja", "messages cannot be put into a prompt", false});
  }
  return missing;
}

std::string Describe(const MissingFile& file) {
  return file.name + " is missing: without it " + file.without_it +
         "; copy it from the original model";
}

}  // namespace tyllm::model
