// SPDX-License-Identifier: Apache-2.0

// What is wrong with a compiled model or with what it is asked is named; nothing crashes.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "tests/support/temporary_directory.h"
#include "tests/worker/simulator/compiled_model.h"
#include "worker/artifact/layout.h"
#include "worker/simulator/bench.h"
#include "worker/simulator/golden.h"
#include "worker/simulator/run_model.h"
#include "worker/simulator/verify.h"

namespace tyllm::simulator {
namespace {

using namespace testing;
namespace fs = std::filesystem;

class BadInputTest : public ::testing::Test {
 protected:
  BadInputTest() {
    WriteQuantizedModel(directory / "model");
    compiled_ = Compile(directory / "model", directory / "out", Options(3));
  }

  Status VerifyStatus() const {
    domain::NoProgress progress;
    VerifyRequest request;
    request.directory = compiled_;
    return Verify(request, progress).status();
  }

  /// Runs `damage` on a file, expects that `check` names it, and puts the file back. What is
  /// damaged is a copy: weights may be a link to the cache's, which other tests use at the same
  /// time.
  void ExpectNamed(const Path& file, const std::function<void(const Path&)>& damage,
                   const std::function<Status()>& check) const {
    const Path path = compiled_ / file;
    const Path original = directory / "original";
    fs::rename(path, original);
    fs::copy_file(original, path);
    damage(path);
    const Status status = check();
    EXPECT_FALSE(status.ok()) << file;
    EXPECT_NE(status.message().find(file.filename().string()), std::string::npos)
        << file << ": " << status.ToString();
    fs::rename(original, path);
  }

  tyllm::testing::TemporaryDirectory directory;
  Path compiled_;
};

void FlipByte(const Path& path, std::uintmax_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ 0x20));
}

void FlipMiddle(const Path& path) {
  FlipByte(path, fs::file_size(path) / 2);
}

/// Binds the last parameter to a place far behind the file's end.
void MoveLastBinding(const Path& path) {
  std::uintmax_t last = 0;
  {
    const auto file = artifact::ParamsFile::Open(path);
    ASSERT_TRUE(file.ok());
    const auto bindings = file->Find("bindings");
    ASSERT_TRUE(bindings.ok());
    last = bindings->offset + bindings->bytes.size() - 1;
  }
  FlipByte(path, last);
}

void CutInHalf(const Path& path) {
  fs::resize_file(path, fs::file_size(path) / 2);
}

TEST_F(BadInputTest, AChangedByteInAnyFileIsNamed) {
  ASSERT_TRUE(VerifyStatus().ok()) << VerifyStatus().ToString();
  const auto artifact = artifact::OpenArtifact(compiled_);
  ASSERT_TRUE(artifact.ok());
  for (const artifact::FileEntry& entry : artifact->manifest.files) {
    if (entry.bytes > 0) {
      ExpectNamed(entry.path, FlipMiddle, [&] { return VerifyStatus(); });
    }
  }
  EXPECT_TRUE(VerifyStatus().ok());
}

TEST_F(BadInputTest, AChangedByteAnywhereInTheManifestIsFound) {
  const Path manifest = compiled_ / "manifest.json";
  for (std::uintmax_t at = 0; at < fs::file_size(manifest); at += 7) {
    FlipByte(manifest, at);
    const Status status = artifact::OpenArtifact(compiled_).status();
    EXPECT_NE(status.message().find("manifest.json"), std::string::npos)
        << "byte " << at << ": " << status.ToString();
    FlipByte(manifest, at);
  }
  EXPECT_TRUE(artifact::OpenArtifact(compiled_).ok());
}

TEST_F(BadInputTest, DiesThatAreNotTheModelsAreRefusedThoughTheManifestNamesThem) {
  const Path path = compiled_ / artifact::kBufferConfigFile;
  const format::Json config = *format::ReadJsonFile(path);
  ASSERT_TRUE(artifact::OpenArtifact(compiled_).ok());
  const auto expect_refused = [&](const format::Json& changed) {
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, format::PrettyJson(changed)).ok());
    artifact::Manifest manifest = *artifact::ReadManifest(compiled_ / artifact::kManifestFile);
    for (artifact::FileEntry& file : manifest.files) {
      if (file.path == artifact::kBufferConfigFile) {
        file = *artifact::DescribeFile(compiled_, artifact::kBufferConfigFile);
      }
    }
    ASSERT_TRUE(artifact::WriteManifest(LocalFileSystem(), compiled_, manifest).ok());
    const Status status = artifact::OpenArtifact(compiled_).status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
    EXPECT_NE(status.message().find("buffer_config.json"), std::string::npos) << status.message();
  };
  for (const char* const change :
       {R"({"die_list": {"0": {"shard": {"kv_heads": {"begin": 1}}}}})",
        R"({"die_list": {"0": {"shard": {"kv_heads": {"end": 2}}}}})",
        R"({"die_list": {"2": {"shard": {"heads": {"end": 3}}}}})",
        R"({"die_list": {"2": {"shard": {"vocabulary": {"end": 102}}}}})",
        R"({"die_list": {"2": {"shard": {"intermediate": {"end": 384}}}}})",
        R"({"die_list": {"1": {"die": 2}}})", R"({"max_kv": 1000000})"}) {
    SCOPED_TRACE(change);
    format::Json changed = config;
    const format::Json places = format::Json::parse(change).flatten();
    for (const auto& [place, value] : places.items()) {
      changed[format::Json::json_pointer(place)] = value;
    }
    ASSERT_NE(changed, config);
    expect_refused(changed);
  }
}

TEST(CompareNumbersTest, ANumberThatIsNoneStaysTheLargestDifference) {
  const float none = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> found = {0, none, 1, 5};
  const std::vector<float> expected = {0, 0, 0, 0};
  EXPECT_TRUE(std::isnan(CompareNumbers("mlp", 0, found, expected).max_difference));
}

TEST_F(BadInputTest, TheSegmentWhereAWrongResultBeginsIsNamed) {
  const auto golden = ReadGolden(compiled_ / artifact::kGoldenFile, 101);
  ASSERT_TRUE(golden.ok());
  Golden wrong = *golden;
  wrong.segments[static_cast<std::size_t>(4 * wrong.width)] += 100;  // mlp of layer 1
  ASSERT_TRUE(WriteGoldenFile(LocalFileSystem(), compiled_ / artifact::kGoldenFile, wrong).ok());
  domain::NoProgress progress;
  VerifyRequest request;
  request.directory = compiled_;
  request.check_files = false;
  const Status status = Verify(request, progress).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("segment mlp of layer 1"), std::string::npos) << status.message();
}

TEST_F(BadInputTest, AMissingAShortAndAForeignFileAreNamed) {
  const Path params = artifact::CommonParams(1);
  ExpectNamed(params, [](const Path& path) { fs::remove(path); }, [&] { return VerifyStatus(); });
  ExpectNamed(params, CutInHalf, [&] { return VerifyStatus(); });
  ExpectNamed("manifest.json", CutInHalf, [&] { return VerifyStatus(); });
  ExpectNamed("manifest.json", FlipMiddle, [&] { return VerifyStatus(); });
  std::ofstream(compiled_ / "batch_1" / "visitor.txt") << "hello";
  EXPECT_NE(VerifyStatus().message().find("visitor.txt"), std::string::npos);
}

TEST_F(BadInputTest, LoadingWithoutDigestsRefusesWhatDoesNotFitTogether) {
  const auto load = [&] { return LoadedArtifact::Load(compiled_).status(); };
  const plan::ProgramId decode{plan::ProgramKind::kDecode, 8};
  const auto same_size = [](const Path& path, std::uintmax_t bytes) {
    fs::resize_file(path, bytes);
  };
  // Die 2 has another shape than die 0; the manifest knows only sizes when files are opened.
  ExpectNamed(
      artifact::ProgramObject(decode, 2),
      [&](const Path& path) {
        const std::uintmax_t bytes = fs::file_size(path);
        fs::copy_file(compiled_ / artifact::ProgramObject(decode, 0), path,
                      fs::copy_options::overwrite_existing);
        same_size(path, bytes);
      },
      load);
  ExpectNamed(artifact::BindingParams(1, 8), MoveLastBinding, load);
  ExpectNamed(
      artifact::ProgramObject(decode, 1),
      [&](const Path& path) {
        const std::uintmax_t bytes = fs::file_size(path);
        std::ofstream(path, std::ios::trunc) << "#!/bin/sh\n";
        same_size(path, bytes);
      },
      load);
}

TEST_F(BadInputTest, ConstantsOfAnotherDieAreRefused) {
  ExpectNamed(
      artifact::ConstantParams(0, 8),
      [&](const Path& path) {
        fs::copy_file(compiled_ / artifact::ConstantParams(1, 8), path,
                      fs::copy_options::overwrite_existing);
      },
      [&] { return LoadedArtifact::Load(compiled_).status(); });
}

/// Gives a number of a JSON file another value, without changing the file's size.
void Replace(const Path& path, const std::string& key, std::string value) {
  std::string text = *LocalFileSystem().Read(path);
  const std::size_t at = text.find('"' + key + "\": ") + key.size() + 4;
  const std::size_t end = text.find_first_of(",\n}", at);
  ASSERT_LE(value.size(), end - at);
  value.resize(end - at, ' ');
  text.replace(at, value.size(), value);
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, text).ok());
}

TEST_F(BadInputTest, NumbersOfTheBufferConfigurationThatCannotBeAreRefused) {
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"attention_group", "0"},
           {"attention_group", "48"},
           {"attention_group", "-1"},
           {"mlp_group", "0"},
           {"mlp_group", "7"},
           {"group", "0"},
           {"activation_bits", "12"},
           {"dies", "0"},
           {"int8_head", "true"}}) {  // the file has no such head
    ExpectNamed(
        artifact::kBufferConfigFile, [&](const Path& path) { Replace(path, key, value); },
        [&] { return LoadedArtifact::Load(compiled_).status(); });
  }
  EXPECT_TRUE(LoadedArtifact::Load(compiled_).ok());
}

TEST_F(BadInputTest, BenchRefusesMoreTokensThanCanBeCounted) {
  domain::NoProgress progress;
  BenchRequest request;
  request.directory = compiled_;
  for (const auto& [prompt, decode] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {std::numeric_limits<std::int64_t>::max(), 8},
           {8, std::numeric_limits<std::int64_t>::max()}}) {
    request.prompt_tokens = prompt;
    request.decode_tokens = decode;
    const Status status = Bench(LocalFileSystem(), request, progress).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
  }
}

TEST_F(BadInputTest, MoreTokensThanTheCacheHoldsIsRefusedWithTheLimitAndAppendsNothing) {
  const LoadedArtifact loaded = Load(compiled_);
  Session session = Open(loaded);
  const auto refused = session.Feed(SomeTokens(65, 100));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), StatusCode::kOutOfRange);
  EXPECT_NE(refused.status().message().find("64"), std::string::npos);
  EXPECT_EQ(session.history(), 0);
  ASSERT_TRUE(session.Feed(SomeTokens(64, 100)).ok());
  EXPECT_FALSE(session.Feed(SomeTokens(1, 100)).ok());
  EXPECT_EQ(session.history(), 64);
}

TEST_F(BadInputTest, TokensOutsideTheVocabularyAndNoTokensAreRefused) {
  const LoadedArtifact loaded = Load(compiled_);
  Session session = Open(loaded);
  for (const std::int32_t id : {-1, 101, 2147483647}) {
    const auto refused = session.Feed(std::span(&id, 1));
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.status().message().find(std::to_string(id)), std::string::npos);
  }
  EXPECT_FALSE(session.Feed({}).ok());
}

TEST_F(BadInputTest, ABucketThatWasNotCompiledIsRefusedWithThoseThatWere) {
  const LoadedArtifact loaded = Load(compiled_);
  const auto session = Session::Open(loaded, {{96}, 0});
  ASSERT_FALSE(session.ok());
  EXPECT_NE(session.status().message().find("1, 8, 16"), std::string::npos);
}

RunRequest Request(const Path& directory) {
  RunRequest request;
  request.model.directory = directory;
  request.token_ids = {3, 1, 4};
  request.max_tokens = 5;
  return request;
}

TEST_F(BadInputTest, RunNeedsExactlyOnePromptAndATokenizerForText) {
  RunRequest request = Request(compiled_);
  ASSERT_TRUE(RunModel(request, SystemClock()).ok());
  request.prompt = "both";
  EXPECT_EQ(RunModel(request, SystemClock()).status().code(), StatusCode::kInvalidArgument);
  request.token_ids.clear();
  const auto without_tokenizer = RunModel(request, SystemClock());
  ASSERT_FALSE(without_tokenizer.ok());
  EXPECT_NE(without_tokenizer.status().message().find("tokenizer.json"), std::string::npos);
  request.prompt.reset();
  EXPECT_EQ(RunModel(request, SystemClock()).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(BadInputTest, RunEndsWhenTheCacheIsFullAndSaysSo) {
  RunRequest request = Request(compiled_);
  request.token_ids.assign(60, 7);
  request.max_tokens = 50;
  const auto report = RunModel(request, SystemClock());
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  if (report->ending != Ending::kStopToken) {
    EXPECT_EQ(report->ending, Ending::kCacheFull);
    EXPECT_EQ(report->token_ids.size(), 5U);
  }
}

TEST_F(BadInputTest, RunGivesTheSameTokensFromTheModelDirectoryAndFromTheInterpreter) {
  RunRequest request = Request(compiled_);
  const auto compiled = RunModel(request, SystemClock());
  ASSERT_TRUE(compiled.ok()) << compiled.status().ToString();
  EXPECT_EQ(compiled->chunks, (std::vector<std::int64_t>{1, 1, 1}));
  request.model.engine = Engine::kInterpreter;
  const auto interpreted = RunModel(request, SystemClock());
  ASSERT_TRUE(interpreted.ok()) << interpreted.status().ToString();
  EXPECT_EQ(interpreted->token_ids, compiled->token_ids);
  const auto in_float = RunModel(Request(directory / "model"), SystemClock());
  ASSERT_TRUE(in_float.ok()) << in_float.status().ToString();
  EXPECT_EQ(in_float->token_ids, compiled->token_ids);
}

TEST_F(BadInputTest, AFolderThatIsNotThereIsNotFound) {
  EXPECT_EQ(LoadedArtifact::Load(directory / "nowhere").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(LoadedArtifact::Load(directory.path()).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace tyllm::simulator
