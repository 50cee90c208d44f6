// SPDX-License-Identifier: Apache-2.0
#include "worker/model/needed_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace tyllm::model {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NeededFiles : public ::testing::Test {
 protected:
  void Touch(const std::string& name, const std::string& text = "{}") {
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder_ / name, text).ok());
  }

  std::vector<std::string> Missing() const {
    std::vector<std::string> names;
    for (const MissingFile& file : FindMissingFiles(folder_.path(), config_)) {
      names.push_back(file.name + (file.required ? "!" : ""));
    }
    return names;
  }

  testing::TemporaryDirectory folder_;
  format::Json config_ = format::Json::object();
};

TEST_F(NeededFiles, OfATextModel) {
  EXPECT_THAT(Missing(), ElementsAre("tokenizer.json!", "tokenizer_config.json",
                                     "generation_config.json", "chat_template.jinja"));
  Touch("tokenizer.json");
  Touch("generation_config.json");
  EXPECT_THAT(Missing(), ElementsAre("tokenizer_config.json", "chat_template.jinja"));
  Touch("tokenizer_config.json", R"({"chat_template": "x"})");
  EXPECT_THAT(Missing(), IsEmpty());
}

TEST_F(NeededFiles, OfAModelThatSees) {
  for (const char* const name : {"tokenizer.json", "tokenizer_config.json",
                                 "generation_config.json", "chat_template.jinja"}) {
    Touch(name);
  }
  EXPECT_THAT(Missing(), IsEmpty());
  config_["vision_config"] = format::Json::object();
  EXPECT_THAT(Missing(),
              ElementsAre("preprocessor_config.json!", "video_preprocessor_config.json"));
  Touch("preprocessor_config.json");
  EXPECT_THAT(Missing(), IsEmpty());
}

TEST_F(NeededFiles, FilesThatNothingReadsDoNotCount) {
  for (const char* const name :
       {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.json",
        "processor_config.json", "video_preprocessor_config.json"}) {
    Touch(name);
  }
  config_["vision_config"] = format::Json::object();
  EXPECT_THAT(Missing(), ElementsAre("preprocessor_config.json!", "chat_template.jinja"));
}

TEST_F(NeededFiles, ADescriptionSaysWhatDoesNotWork) {
  EXPECT_EQ(Describe({"tokenizer.json", "the tokenizer cannot be loaded", true}),
            "tokenizer.json is missing: without it the tokenizer cannot be loaded; copy it from "
            "the original model");
}

}  // namespace
}  // namespace tyllm::model
