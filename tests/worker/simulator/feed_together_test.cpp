// SPDX-License-Identifier: Apache-2.0

// Sessions that are fed together against the same ones fed one after the other.
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"
#include "tests/worker/simulator/compiled_model.h"

namespace tyllm::simulator {
namespace {

using namespace testing;
using Tokens = std::vector<std::int32_t>;
using Logits = std::vector<std::vector<float>>;

/// What an observer heard of a session's last call.
using Trace = std::map<std::size_t, std::vector<float>>;

SegmentObserver Into(Trace& trace) {
  return [&trace](std::size_t segment, std::span<const float> numbers) {
    trace[segment].assign(numbers.begin(), numbers.end());
  };
}

/// Chunkings that cross each other, and one with logits of every token.
struct Readers {
  explicit Readers(const LoadedArtifact& loaded, Pages pages = Pages::kHuge) {
    for (const std::vector<std::int64_t>& buckets :
         std::vector<std::vector<std::int64_t>>{{}, {1}, {8}, {16, 1}, {1, 8}}) {
      sessions.push_back(Open(loaded, {buckets, 2, pages}));
    }
  }

  static Rows RowsOf(std::size_t session) { return session == 4 ? Rows::kEvery : Rows::kLast; }

  Logits FeedEach(const Tokens& tokens) {
    Logits logits;
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      logits.push_back(RowsOf(i) == Rows::kEvery ? *sessions[i].FeedEvery(tokens)
                                                 : *sessions[i].Feed(tokens));
    }
    return logits;
  }

  Logits FeedTogether(const Tokens& tokens) {
    std::vector<Session::Feeding> feedings;
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      feedings.push_back({&sessions[i], tokens, RowsOf(i)});
    }
    return *Session::FeedTogether(feedings);
  }

  std::vector<Session> sessions;
};

void ExpectTheSame(const LoadedArtifact& loaded) {
  Readers apart(loaded);
  Readers together(loaded, Pages::kSmall);
  Trace expected;
  Trace found;
  apart.sessions[0].Observe(Into(expected));
  together.sessions[0].Observe(Into(found));
  for (const std::size_t count : {21U, 1U, 9U}) {  // the later ones behind what is in the cache
    const Tokens tokens = SomeTokens(count, 101);
    EXPECT_EQ(together.FeedTogether(tokens), apart.FeedEach(tokens)) << count << " tokens";
    EXPECT_EQ(found, expected);
  }
  for (std::size_t i = 0; i < apart.sessions.size(); ++i) {
    EXPECT_EQ(together.sessions[i].chunks(), apart.sessions[i].chunks());
    EXPECT_EQ(together.sessions[i].history(), apart.sessions[i].history());
  }
}

class FeedTogetherTest : public ::testing::Test {
 protected:
  FeedTogetherTest() { WriteQuantizedModel(model_); }

  Path Made(const domain::CompileOptions& options) {
    return Compile(model_, directory_ / "out", options);
  }

  tyllm::testing::TemporaryDirectory directory_;
  Path model_ = directory_ / "model";
};

TEST_F(FeedTogetherTest, GivesTheBitsOfFeedingOneAfterTheOther) {
  ExpectTheSame(Load(Made(Options(3))));
}

TEST_F(FeedTogetherTest, GivesThemWithDiesThatSumInGroups) {
  domain::CompileOptions options = Options(4);
  options.reduce_group = 2;
  ExpectTheSame(Load(Made(options)));
}

TEST_F(FeedTogetherTest, GivesThemWithEmbeddingsFromTheHost) {
  domain::CompileOptions options = Options(2);
  options.embedding_as_input = true;
  ExpectTheSame(Load(Made(options)));
}

TEST_F(FeedTogetherTest, GivesThemInTheInterpreter) {
  ExpectTheSame(Load(Made(Options(2)), Engine::kInterpreter));
}

TEST_F(FeedTogetherTest, TokensThatComeFirstAreTheHistoryOfTheOthers) {
  const LoadedArtifact loaded = Load(Made(Options(2)));
  Session whole = Open(loaded);
  Session parted = Open(loaded, {{16}});
  const Tokens tokens = SomeTokens(14, 101);
  const std::vector<Session::Feeding> feedings{{&whole, tokens}, {&parted, tokens, Rows::kLast, 1}};
  const auto logits = Session::FeedTogether(feedings);
  ASSERT_TRUE(logits.ok()) << logits.status().ToString();
  EXPECT_EQ((*logits)[1], (*logits)[0]);
  EXPECT_EQ(parted.chunks(), (std::vector<Chunk>{{{plan::ProgramKind::kPrefill, 16}, 1},
                                                 {{plan::ProgramKind::kLlm, 16}, 13}}));
}

TEST_F(FeedTogetherTest, TellsHowManySegmentsAreDone) {
  const LoadedArtifact loaded = Load(Made(Options(1)));
  Session session = Open(loaded);
  const Tokens tokens = SomeTokens(3, 101);
  const Session::Feeding feeding{&session, tokens};
  std::vector<std::size_t> done;
  ASSERT_TRUE(Session::FeedTogether(std::span(&feeding, 1), [&](std::size_t segments) {
                done.push_back(segments);
              }).ok());
  EXPECT_EQ(done, (std::vector<std::size_t>{1, 2, 3, 4, 5, 6}));
}

TEST_F(FeedTogetherTest, NothingIsReadWhenOneSessionCannot) {
  const LoadedArtifact loaded = Load(Made(Options(1)));
  Session fine = Open(loaded);
  Session full = Open(loaded);
  ASSERT_TRUE(full.Feed(SomeTokens(64, 101)).ok());
  const Tokens tokens = SomeTokens(2, 101);
  const std::vector<Session::Feeding> feedings{{&fine, tokens}, {&full, tokens}};
  EXPECT_EQ(Session::FeedTogether(feedings).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(fine.history(), 0);
  EXPECT_EQ(full.history(), 64);
}

}  // namespace
}  // namespace tyllm::simulator
