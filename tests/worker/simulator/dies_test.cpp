// SPDX-License-Identifier: Apache-2.0

// Compiled models of 1 to 4 dies against the float32 evaluation of the same weights.
#include <gtest/gtest.h>

#include <algorithm>

#include "common/format/safetensors.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/simulator/compiled_model.h"
#include "worker/forward/generator.h"
#include "worker/simulator/generate.h"
#include "worker/simulator/reference.h"
#include "worker/simulator/text_model.h"
#include "worker/simulator/verify.h"

namespace tyllm::simulator {
namespace {

using namespace testing;
using Tokens = std::vector<std::int32_t>;

class DiesTest : public ::testing::TestWithParam<std::int64_t> {
 protected:
  DiesTest() {
    WriteQuantizedModel(model_);
    directory_ = Compile(model_, directory / "out", Options(GetParam()));
  }

  tyllm::testing::TemporaryDirectory directory;
  Path model_ = directory / "model";
  Path directory_;
};

TEST_P(DiesTest, LogitsAreThoseOfTheFloatEvaluationInAllChunkings) {
  domain::NoProgress progress;
  VerifyRequest request;
  request.directory = directory_;
  request.model = model_;
  request.layers = true;
  const auto report = Verify(request, progress);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->dies, GetParam());
  EXPECT_LE(report->max_difference, Tolerances().logit);
  EXPECT_GT(report->max_difference, 0.0);
  EXPECT_EQ(report->chunkings.size(), 4U);
  EXPECT_EQ(report->segments.size(), 1 + 2 * 2 + 1U);
  for (const SegmentDifference& segment : report->segments) {
    EXPECT_LT(segment.relative_error, 2e-3) << segment.name << " of layer " << segment.layer;
    EXPECT_GT(segment.cosine, 0.99999) << segment.name << " of layer " << segment.layer;
  }
}

TEST_P(DiesTest, WhatIsStoredProvesEverySegmentLogitsAndText) {
  domain::NoProgress progress;
  VerifyRequest request;
  request.directory = directory_;
  const auto report = Verify(request, progress);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->segments.size(), 1 + 2 * 2U);
  EXPECT_EQ(report->best_tokens, report->tokens);
  EXPECT_EQ(report->top1_agreement(), 1.0);
  EXPECT_LT(report->kl_largest, 1e-5);
  EXPECT_GT(report->greedy, 0);
}

TEST_P(DiesTest, TheReferenceIsTheFloatEvaluation) {
  const auto model = forward::OpenModel(model_);
  ASSERT_TRUE(model.ok());
  const Tokens tokens = SomeTokens(21, 100);
  ThreadPool pool(2);
  domain::NoProgress progress;
  const auto reference = RunReference(*model, {tokens, 21, 24}, pool, progress);
  ASSERT_TRUE(reference.ok()) << reference.status().ToString();
  const auto backend = tensor::MakeBackend("cpu", 1);
  forward::Generator generator(*model, **backend);
  const auto expected = generator.Generate({.prompt = tokens, .max_tokens = 24, .stop = {}});
  ASSERT_TRUE(expected.ok());
  EXPECT_EQ(reference->greedy, *expected);
  ThreadPool other(1);
  const auto again = RunReference(*model, {tokens, 21, 24}, other, progress);
  EXPECT_EQ(again->logits, reference->logits);
  EXPECT_EQ(again->segments, reference->segments);
}

TEST_P(DiesTest, GreedyTextIsThatOfTheFloatEvaluation) {
  const Tokens prompt = SomeTokens(21, 100);
  const auto model = forward::OpenModel(model_);
  ASSERT_TRUE(model.ok());
  const auto backend = tensor::MakeBackend("cpu", 1);
  forward::Generator generator(*model, **backend);
  const auto expected = generator.Generate({.prompt = prompt, .max_tokens = 24, .stop = {}});
  ASSERT_TRUE(expected.ok());
  const LoadedArtifact loaded = Load(directory_);
  Session session = Open(loaded);
  const auto found = Generate(session, {prompt, 24, {}}, SystemClock());
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->tokens, *expected);
}

TEST_P(DiesTest, AnyPiecesAndAnyThreadsGiveTheSameBits) {
  const LoadedArtifact loaded = Load(directory_);
  const Tokens tokens = SomeTokens(61, 101);
  Session whole = Open(loaded);
  const std::vector<float> expected = *whole.Feed(tokens);
  for (const std::size_t piece : {1U, 3U, 7U, 8U, 15U, 16U, 40U}) {
    Session session = Open(loaded, {{}, static_cast<std::int64_t>(piece % 5)});
    std::vector<float> logits;
    for (std::size_t at = 0; at < tokens.size(); at += piece) {
      const std::size_t count = std::min(piece, tokens.size() - at);
      logits = *session.Feed(std::span(tokens).subspan(at, count));
    }
    EXPECT_EQ(logits, expected) << "pieces of " << piece;
  }
}

TEST_P(DiesTest, EveryRowIsTheLastRowOfAShorterText) {
  const LoadedArtifact loaded = Load(directory_);
  const Tokens tokens = SomeTokens(19, 101);
  Session all = Open(loaded);
  const std::vector<float> rows = *all.FeedEvery(tokens);
  ASSERT_EQ(rows.size(), 19U * 101);
  for (const std::size_t length : {1U, 8U, 17U, 19U}) {
    Session session = Open(loaded);
    const std::vector<float> last = *session.Feed(std::span(tokens).first(length));
    const auto from = rows.begin() + static_cast<std::ptrdiff_t>((length - 1) * 101);
    EXPECT_EQ(last, std::vector<float>(from, from + 101)) << length;
  }
}

/// The next 7 tokens of `text` after `at`, every third of them wrong.
Tokens Draft(const Tokens& text, std::size_t at) {
  Tokens draft;
  for (std::size_t i = at; draft.size() < 7; ++i) {
    const std::int32_t right = i < text.size() ? text[i] : 0;
    draft.push_back(i % 3 == 2 ? (right + 1) % 100 : right);
  }
  return draft;
}

TEST_P(DiesTest, DraftsThatOneCallChecksGiveTheGreedyText) {
  const LoadedArtifact loaded = Load(directory_);
  const Tokens prompt = SomeTokens(21, 100);
  Session plain = Open(loaded);
  const Tokens expected = Generate(plain, {prompt, 24, {}}, SystemClock())->tokens;
  Session session = Open(loaded);
  Tokens text{BestToken(*session.Feed(prompt))};
  std::size_t calls = 0;
  while (text.size() < expected.size()) {
    Tokens call{text.back()};
    const Tokens draft = Draft(expected, text.size());
    call.insert(call.end(), draft.begin(), draft.end());
    const std::int64_t before = session.history();
    const std::vector<float> rows = *session.FeedEvery(call);
    ASSERT_EQ(session.chunks(), (std::vector<Chunk>{{{plan::ProgramKind::kDecode, 8}, 8}}));
    std::size_t row = 0;
    do {
      text.push_back(BestToken(std::span(rows).subspan(row * 101, 101)));
      ++row;
    } while (row < call.size() && text.back() == call[row]);
    session.Rewind(before + static_cast<std::int64_t>(row));
    ++calls;
  }
  text.resize(expected.size());
  EXPECT_EQ(text, expected);
  EXPECT_LT(calls, expected.size());
}

TEST_P(DiesTest, AResetSessionIsAsGoodAsNew) {
  const LoadedArtifact loaded = Load(directory_);
  Session session = Open(loaded);
  ASSERT_TRUE(session.Feed(SomeTokens(64, 90)).ok());
  session.Reset();
  Session fresh = Open(loaded);
  const Tokens tokens = SomeTokens(13, 101);
  EXPECT_EQ(*session.Feed(tokens), *fresh.Feed(tokens));
}

TEST_P(DiesTest, ARewoundSessionHasReadWhatItKept) {
  const LoadedArtifact loaded = Load(directory_);
  const Tokens tokens = SomeTokens(40, 101);
  Session session = Open(loaded);
  ASSERT_TRUE(session.Feed(SomeTokens(29, 77)).ok());
  session.Rewind(0);
  ASSERT_TRUE(session.Feed(std::span(tokens).first(30)).ok());
  session.Rewind(11);
  Session fresh = Open(loaded);
  EXPECT_EQ(*session.Feed(std::span(tokens).subspan(11)), *fresh.Feed(tokens));
}

TEST_P(DiesTest, AModelReadsOnlyWhatItsLastTextDidNotBeginWith) {
  const auto model = TextModel::Open({.directory = directory_, .chunks = {}});
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  const Tokens first = SomeTokens(20, 101);
  const auto begin = (*model)->Continue({first, 4, {}, {}}, SystemClock(), {});
  ASSERT_TRUE(begin.ok());
  Tokens longer = first;
  longer.insert(longer.end(), begin->generated.tokens.begin(), begin->generated.tokens.end());
  longer.push_back(5);
  const auto next = (*model)->Continue({longer, 6, {}, {}}, SystemClock(), {});
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->chunks, (std::vector<std::int64_t>{1, 1}));  // the last new token, and the 5
  const auto fresh = TextModel::Open({.directory = directory_, .chunks = {}});
  EXPECT_EQ((*fresh)->Continue({longer, 6, {}, {}}, SystemClock(), {})->generated.tokens,
            next->generated.tokens);
}

INSTANTIATE_TEST_SUITE_P(All, DiesTest, ::testing::Values(1, 2, 3, 4));

/// Splits in which dies differ in what they have.
TEST(UnevenDies, GiveWhatTheReferenceGives) {
  const tyllm::testing::TemporaryDirectory directory;
  WriteQuantizedModel(directory / "model");
  for (const plan::Split& split :
       {plan::Split{4, 1, 0}, plan::Split{4, 0, 2}, plan::Split{10, 0, 0}, plan::Split{6, 2, 3}}) {
    domain::CompileOptions options = Options(split.dies);
    options.attention_dies = split.attention_dies;
    options.reduce_group = split.reduce_group;
    options.seq_lens = {1, 8};
    const Path out = directory / ("out" + std::to_string(split.dies) + "_" +
                                  std::to_string(split.attention_dies) + "_" +
                                  std::to_string(split.reduce_group));
    const LoadedArtifact loaded = Load(Compile(directory / "model", out, options));
    EXPECT_EQ(loaded.dies(), split.dies);
  }
}

std::vector<float> Floats(const format::SafetensorsFile& file, const std::string& name) {
  return *format::ToFloats(name, file.tensors().find(name)->second);
}

TEST(GoldenModelOnDies, AgreesWithTransformers) {
  const tyllm::testing::TemporaryDirectory directory;
  const Path compiled = Compile(GoldenModel(), directory / "out", Options(3));
  const auto golden = format::SafetensorsFile::Open(GoldenModel() / "golden.safetensors");
  ASSERT_TRUE(golden.ok());
  const std::span<const std::byte> bytes = golden->tensors().find("input_ids")->second.bytes;
  Tokens tokens(bytes.size() / sizeof(std::int32_t));
  std::copy(bytes.begin(), bytes.end(), std::as_writable_bytes(std::span(tokens)).begin());
  const std::vector<float> expected = Floats(*golden, "logits");
  for (const Engine engine : {Engine::kCompiled, Engine::kInterpreter}) {
    const LoadedArtifact loaded = Load(compiled, engine);
    Session session = Open(loaded);
    const auto logits = session.FeedEvery(tokens);
    ASSERT_TRUE(logits.ok()) << logits.status().ToString();
    EXPECT_LT(LargestDifference(*logits, expected), 2e-2);  // of logits as large as 76
  }
}

TEST(EmbeddingAsInput, GivesTheBitsOfTheSameModelWithTokenIds) {
  const tyllm::testing::TemporaryDirectory directory;
  WriteQuantizedModel(directory / "model");
  domain::CompileOptions options = Options(2);
  const LoadedArtifact with_ids = Load(Compile(directory / "model", directory / "ids", options));
  options.embedding_as_input = true;
  const LoadedArtifact with_embeddings =
      Load(Compile(directory / "model", directory / "embeddings", options));
  EXPECT_NE(with_embeddings.embedding(), nullptr);
  const Tokens tokens = SomeTokens(30, 101);
  Session a = Open(with_ids);
  Session b = Open(with_embeddings);
  EXPECT_EQ(*a.Feed(tokens), *b.Feed(tokens));
}

}  // namespace
}  // namespace tyllm::simulator
