// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/byte_tokenizer.h"
#include "tests/support/paths.h"

namespace tyllm::testing {

/// A golden model that sees, in `folder`, with a tokenizer of bytes that knows its special tokens
/// and a chat template of ChatML. The weights are linked, not copied.
inline void MakeSeeingModel(const std::string& golden, const std::filesystem::path& folder) {
  const std::filesystem::path source = std::filesystem::path(kTestData) / "goldens" / golden;
  std::filesystem::create_directories(folder);
  for (const char* const name :
       {"config.json", "generation_config.json", "preprocessor_config.json"}) {
    std::filesystem::copy_file(source / name, folder / name);
  }
  std::filesystem::create_symlink(source / "model.safetensors", folder / "model.safetensors");
  format::Json tokenizer = ByteTokenizerJson();
  const auto add = [&](int id, const char* content) {
    tokenizer["added_tokens"].push_back(
        {{"id", id}, {"content", content}, {"normalized", false}, {"special", true}});
  };
  add(400, "<|im_start|>");
  add(401, "<|im_end|>");
  add(508, "<|vision_start|>");
  add(509, "<|vision_end|>");
  add(510, "<|image_pad|>");
  add(511, "<|video_pad|>");
  std::ofstream(folder / "tokenizer.json") << tokenizer;
  std::ofstream(folder / "chat_template.jinja")
      << "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
         "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}";
}

}  // namespace tyllm::testing
