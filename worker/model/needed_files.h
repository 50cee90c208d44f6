// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "common/base/file_system.h"
#include "common/format/json.h"

namespace tyllm::model {

/// A file without weights that readers of a model want and that is not there.
struct MissingFile {
  std::string name;
  std::string without_it;  ///< what does not work: "the tokenizer cannot be loaded"
  bool required = false;   ///< the model cannot be used; otherwise something is guessed
};

/// What a model directory lacks, given its config.json: a model that sees needs more. Required ones
/// first.
std::vector<MissingFile> FindMissingFiles(const Path& directory, const format::Json& config);

/// One line: "preprocessor_config.json is missing: ...; copy it from the original model".
std::string Describe(const MissingFile& file);

}  // namespace tyllm::model
