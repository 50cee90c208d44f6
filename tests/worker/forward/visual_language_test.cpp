// SPDX-License-Identifier: Apache-2.0
// Visual-language models as text models. Where there is text only, the three positions of a token
// are equal and rope with sections is plain rope.
#include <gtest/gtest.h>

#include <cctype>

#include "tests/support/model_directory.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/forward/golden.h"
#include "worker/forward/generator.h"
#include "worker/forward/streamed_pass.h"

namespace tyllm::forward {
namespace {

using testing::Golden;
using testing::MaxDifference;
using tyllm::testing::MadeTensor;
using tyllm::testing::ModelDirectory;

struct Case {
  const char* golden;
  const char* text_architecture;  ///< of a text model with the same arithmetic
};

constexpr Case kCases[] = {{"tiny-qwen2-vl", "Qwen2ForCausalLM"},
                           {"tiny-qwen2.5-vl", "Qwen2ForCausalLM"},
                           {"tiny-qwen3-vl", "Qwen3ForCausalLM"}};

/// Tokens before the first that stands for a part of an image.
constexpr std::int64_t kTextTokens = 5;

std::vector<float> Logits(const Model& model, BlockRunner& runner,
                          const std::vector<std::int32_t>& ids, const AfterBlock& after = {}) {
  const TokenBatch batch{1, static_cast<std::int64_t>(ids.size()), ids};
  const auto hidden = *RunBody(model, runner, {&batch, 1}, after);
  const Head head = *Head::Load(model);
  const tensor::Matrix logits = *head.Logits(runner, hidden.front(), 0, batch.length);
  return {logits.data(), logits.data() + logits.rows() * logits.columns()};
}

std::vector<float> Logits(const Model& model, const std::vector<std::int32_t>& ids) {
  const auto backend = *tensor::MakeBackend("cpu", 1);
  BlockRunner runner(*backend, model.shape());
  return Logits(model, runner, ids);
}

ModelDirectory ReadModel(const Golden& golden) {
  ModelDirectory model{golden.model.checkpoint.config(), {}};
  for (const std::string& name : golden.model.checkpoint.TensorNames()) {
    const format::TensorView view = *golden.model.checkpoint.Find(name);
    model.tensors[name] = {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}};
  }
  return model;
}

/// With `from` at the beginning of the names of tensors changed to `to`.
void Rename(std::string_view from, std::string_view to, ModelDirectory& model) {
  std::map<std::string, MadeTensor> renamed;
  for (auto& [name, tensor] : model.tensors) {
    const bool fits = name.starts_with(from);
    renamed[fits ? std::string(to) + name.substr(from.size()) : name] = std::move(tensor);
  }
  model.tensors = std::move(renamed);
}

bool IsNewStyle(const ModelDirectory& model) {
  return model.tensors.contains("model.language_model.norm.weight");
}

class VisualLanguage : public ::testing::TestWithParam<Case> {
 protected:
  Model Written(const ModelDirectory& model) {
    model.Write(folder_.path());
    auto opened = OpenModel(folder_.path());
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    TYLLM_CHECK(opened.ok());
    return *std::move(opened);
  }

  std::vector<std::int32_t> SomeTokens() const {
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < 40; ++i) {
      ids.push_back((i * i * 7 + i * 13 + 5) % 500);
    }
    return ids;
  }

  tyllm::testing::TemporaryDirectory folder_;
  Golden golden_ = Golden::Open(GetParam().golden);
};

INSTANTIATE_TEST_SUITE_P(All, VisualLanguage, ::testing::ValuesIn(kCases), [](const auto& test) {
  std::string name(test.param.golden);
  std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
  return name;
});

TEST_P(VisualLanguage, UpToTheImageAllStatesAreThoseOfTransformers) {
  std::vector<std::int32_t> ids = golden_.Ids("image.input_ids");
  ids.resize(kTextTokens);
  const auto backend = *tensor::MakeBackend("cpu", 1);
  BlockRunner runner(*backend, golden_.model.shape(), RoundedFrequencies(golden_));
  const auto rows = [&](const std::string& tensor, std::int64_t columns) {
    std::vector<float> all = golden_.Floats(tensor);
    all.resize(static_cast<std::size_t>(kTextTokens * columns));
    return all;
  };
  std::int64_t compared = 0;
  const auto compare = [&](std::int64_t block, std::int64_t, const tensor::Matrix& hidden) {
    if (block < golden_.model.shape().layers) {  // the last is after the final norm there
      const auto expected = rows("image.hidden." + std::to_string(block), hidden.columns());
      EXPECT_LT(MaxDifference(hidden.data(), expected), 1e-5F) << block;
      ++compared;
    }
  };
  const std::vector<float> logits = Logits(golden_.model, runner, ids, compare);
  EXPECT_EQ(compared, 2);
  EXPECT_LT(MaxDifference(logits.data(), rows("image.logits", 512)), 1e-4F);
}

TEST_P(VisualLanguage, IsTheTextModelWithItsWeights) {
  ModelDirectory text = ReadModel(golden_);
  std::erase_if(text.tensors, [&](const auto& tensor) {
    return golden_.model.shape().names.IsVisual(tensor.first);
  });
  Rename("model.language_model.", "model.", text);
  const bool tied = text.config["tie_word_embeddings"];
  text.config = text.config["text_config"];
  text.config["architectures"] = {GetParam().text_architecture};
  text.config["tie_word_embeddings"] = tied;
  text.config["rope_scaling"] = nullptr;
  const Model model = Written(text);
  EXPECT_EQ(Logits(golden_.model, SomeTokens()), Logits(model, SomeTokens()));
}

TEST_P(VisualLanguage, ReadsOldAndNewNames) {
  ModelDirectory other = ReadModel(golden_);
  if (IsNewStyle(other)) {
    Rename("model.language_model.", "model.", other);
    Rename("model.visual.", "visual.", other);
  } else {
    Rename("model.", "model.language_model.", other);
    Rename("visual.", "model.visual.", other);
  }
  const Model model = Written(other);
  EXPECT_NE(model.shape().names.layers, golden_.model.shape().names.layers);
  EXPECT_EQ(Logits(model, SomeTokens()), Logits(golden_.model, SomeTokens()));
  const auto& visual = model.checkpoint.visual_tensors();
  EXPECT_EQ(visual.size(), golden_.model.checkpoint.visual_tensors().size());
  EXPECT_GT(visual.size(), 40U);
  EXPECT_TRUE(model.checkpoint.unused_tensors().empty());
}

TEST_P(VisualLanguage, ReadsTheOlderConfigurationWithoutATextPart) {
  ModelDirectory flat = ReadModel(golden_);
  const format::Json text = flat.config["text_config"];
  flat.config.erase("text_config");
  for (const auto& [key, value] : text.items()) {
    if (!flat.config.contains(key)) {
      flat.config[key] = value;
    }
  }
  EXPECT_EQ(Logits(Written(flat), SomeTokens()), Logits(golden_.model, SomeTokens()));
}

TEST_P(VisualLanguage, ReadsTheConfigurationOfTransformers5) {
  ModelDirectory newer = ReadModel(golden_);
  newer.config = testing::InOtherForm(newer.config);
  EXPECT_TRUE(newer.config["text_config"].contains("rope_parameters"));
  EXPECT_EQ(Logits(Written(newer), SomeTokens()), Logits(golden_.model, SomeTokens()));
}

TEST_P(VisualLanguage, WritesGreedyText) {
  const auto backend = *tensor::MakeBackend("cpu", 1);
  Generator generator(golden_.model, *backend);
  const auto generated = generator.Generate({.prompt = SomeTokens(), .max_tokens = 8, .stop = {}});
  ASSERT_TRUE(generated.ok()) << generated.status().ToString();
  EXPECT_EQ(generated->size(), 8U);
}

}  // namespace
}  // namespace tyllm::forward
