// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "tests/support/paths.h"
#include "worker/artifact/manifest.h"
#include "worker/compile/request.h"
#include "worker/model/model_shape.h"

namespace tyllm::compile::testing {

/// Compiled objects of all tests in this build folder, so that each program is compiled once.
inline Path SharedCache() {
  return Path(tyllm::testing::kProgramFolder).parent_path() / "test-objects";
}

/// The tiny golden model (float, no tokenizer), buckets 1 and 8.
inline CompileRequest GoldenRequest(std::int64_t dies) {
  CompileRequest request;
  request.model = Path(tyllm::testing::kTestData) / "goldens" / "tiny-qwen3";
  request.options.dies = dies;
  request.options.seq_lens = {1, 8};
  request.options.max_kv = 64;
  request.cache = SharedCache();
  request.allow_missing_tokenizer = true;
  return request;
}

/// What a die's file holds of a model whose linear layers have 4 bits: 4.25 bits a weight in groups
/// of 128, and 12 bits a number of the embedding and the head.
inline std::int64_t WeightBytes(const model::ModelShape& shape) {
  const std::int64_t tables = (shape.tied_head ? 1 : 2) * shape.vocabulary * shape.width;
  return tables * 3 / 2 + (shape.parameters() - tables) * 17 / 32;
}

/// Relative names and contents of all files.
inline std::map<std::string, std::string> Contents(const Path& root) {
  std::map<std::string, std::string> contents;
  const auto files = artifact::ListFiles(root);
  EXPECT_TRUE(files.ok()) << files.status().ToString();
  for (const Path& path : files.ok() ? *files : std::vector<Path>{}) {
    const Result<std::string> text = LocalFileSystem().Read(root / path);
    EXPECT_TRUE(text.ok());
    contents[path.generic_string()] = text.ok() ? *text : "";
  }
  return contents;
}

}  // namespace tyllm::compile::testing
