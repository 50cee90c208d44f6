// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "tests/support/byte_tokenizer.h"
#include "tests/support/model_directory.h"

namespace tyllm::testing {

/// The small Qwen3 model with a byte-level tokenizer and files that have to travel with it.
inline ModelDirectory SmallModel() {
  format::Json config = ModelDirectory::SmallQwen3Config();
  config["vocab_size"] = 264;
  ModelDirectory model = ModelDirectory::Float(config);
  for (auto& [name, tensor] : model.tensors) {
    if (name.ends_with("norm.weight")) {  // near 1, as norms are
      std::vector<float> ones = MadeFloats(name, tensor.shape[0]);
      for (float& one : ones) {
        one = 1.0F + 0.5F * one;
      }
      std::vector<std::uint16_t> halves(ones.size());
      format::FloatsToHalves(ones, halves);
      tensor.bytes = BytesOf(halves);
    }
  }
  return model;
}

inline void WriteModel(const ModelDirectory& model, const Path& directory) {
  model.Write(directory);
  internal::WriteText(directory / "tokenizer.json", format::CompactJson(ByteTokenizerJson()));
  internal::WriteText(directory / "chat_template.jinja", "{{ messages }}");
  ASSERT_TRUE(LocalFileSystem().CreateDirectories(directory / "extra").ok());
  internal::WriteText(directory / "extra" / "notes.txt", "kept");
}

/// English of a kind, about a token a byte.
inline std::string MadeText(std::size_t bytes) {
  static constexpr const char* kWords[] = {"hello", "world", "well", "the", "when", "shell", "low"};
  std::string text;
  for (std::size_t i = 0; text.size() < bytes; ++i) {
    text += kWords[(i * i + i / 3) % 7];
    text += i % 9 == 8 ? ".\n" : " ";
  }
  return text;
}

/// Content of every file below `directory`, by relative name.
inline std::map<std::string, std::string> FilesOf(const Path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) {
      files[entry.path().lexically_relative(directory).string()] =
          *LocalFileSystem().Read(entry.path());
    }
  }
  return files;
}

}  // namespace tyllm::testing
