// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/warnings.h"

#include <algorithm>
#include <filesystem>

#include "worker/compile/tokenizer_files.h"
#include "worker/model/needed_files.h"
#include "worker/model/passenger_files.h"

namespace tyllm::compile {
namespace {

std::vector<std::string> MissingFiles(const Preparation& preparation) {
  const model::Checkpoint& checkpoint = preparation.model.checkpoint;
  const std::vector<Path> brought = TokenizerFiles(preparation.source_tokenizer);
  std::vector<std::string> lines;
  for (const model::MissingFile& file :
       model::FindMissingFiles(checkpoint.directory(), checkpoint.config())) {
    if (!file.required && std::ranges::find(brought, Path(file.name)) == brought.end()) {
      lines.push_back(model::Describe(file));
    }
  }
  return lines;
}

}  // namespace

std::vector<std::string> Warnings(const Preparation& preparation) {
  std::vector<std::string> lines = MissingFiles(preparation);
  for (const Path& name : model::FindLinksOut(preparation.model.checkpoint.directory())) {
    lines.push_back(name.string() +
                    " is a link that leads out of the model's folder, so it does not go into the "
                    "output; copy it into the folder if it is of the model");
  }
  const std::int64_t heads = preparation.model.shape().heads;
  const std::int64_t asked = preparation.options.attention_dies;
  if (asked > heads) {
    lines.push_back("--attention-dies is " + std::to_string(asked) + " and the model has " +
                    std::to_string(heads) + " query heads: " + std::to_string(heads) +
                    " dies have one each");
  }
  return lines;
}

}  // namespace tyllm::compile
