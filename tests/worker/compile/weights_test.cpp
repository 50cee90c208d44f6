// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <optional>

#include "common/format/float16.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/model_directory.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/layout.h"
#include "worker/compile/compile.h"
#include "worker/compile/generate.h"
#include "worker/compile/golden.h"
#include "worker/compile/packed_parts.h"
#include "worker/compile/preparation.h"
#include "worker/compile/weight_cache.h"
#include "worker/model/published_models.h"
#include "worker/quant/made_tokenizer.h"

namespace tyllm::compile {
namespace {

using tyllm::testing::FaultyFileSystem;
using tyllm::testing::TemporaryDirectory;

class WeightsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    domain::NoProgress progress;
    auto prepared = Prepare(testing::GoldenRequest(3), NeedsCompiler::kNo, progress);
    ASSERT_TRUE(prepared.ok()) << prepared.status().ToString();
    preparation_ = std::make_unique<Preparation>(*std::move(prepared));
  }

  plan::Schedule ScheduleOf(std::int64_t die) const {
    return std::move((*preparation_->Plan(die))[0].schedule);
  }

  std::unique_ptr<Preparation> preparation_;
};

TEST_F(WeightsTest, BindingsPointAtAlignedTensorsOfTheFiles) {
  const TemporaryDirectory folder;
  const plan::Schedule schedule = ScheduleOf(1);
  ThreadPool pool(2);
  domain::NoProgress progress;
  ASSERT_TRUE(WriteCommonParams(LocalFileSystem(), preparation_->model.checkpoint,
                                {{folder / "common", &schedule}}, pool, progress)
                  .ok());
  ASSERT_TRUE(WriteConstantParams(LocalFileSystem(), folder / "constant", schedule).ok());
  const auto common = artifact::ParamsFile::Open(folder / "common");
  const auto constant = artifact::ParamsFile::Open(folder / "constant");
  ASSERT_TRUE(common.ok() && constant.ok());
  const std::vector<std::uint64_t> bindings = Bindings(schedule);
  ASSERT_EQ(std::ssize(bindings), BindingCount(schedule));
  for (std::int64_t layer = 0; layer < schedule.shape.layers; ++layer) {
    const auto id = static_cast<plan::WeightId>(schedule.weights.size());
    const auto norm = common->Find(plan::FullName(schedule, id, layer));
    ASSERT_TRUE(norm.ok());
    EXPECT_EQ(bindings[static_cast<std::size_t>(schedule.BindingOf(id, layer))], norm->offset);
  }
  EXPECT_EQ(bindings.back(), constant->Find(kVocabularyRangeName)->offset);
  for (const std::uint64_t offset : bindings) {
    EXPECT_EQ(offset % 64, 0U);
  }
}

TEST_F(WeightsTest, SeveralDiesInOnePassGiveWhatOneGives) {
  const TemporaryDirectory folder;
  const plan::Schedule first = ScheduleOf(0);
  const plan::Schedule last = ScheduleOf(2);
  ThreadPool pool(2);
  ThreadPool single(1);
  domain::NoProgress progress;
  const model::Checkpoint& checkpoint = preparation_->model.checkpoint;
  ASSERT_TRUE(WriteCommonParams(LocalFileSystem(), checkpoint,
                                {{folder / "a0", &first}, {folder / "a2", &last}}, pool, progress)
                  .ok());
  ASSERT_TRUE(
      WriteCommonParams(LocalFileSystem(), checkpoint, {{folder / "b2", &last}}, single, progress)
          .ok());
  EXPECT_EQ(*LocalFileSystem().Read(folder / "a2"), *LocalFileSystem().Read(folder / "b2"));
}

/// What the first word of progress said to be done.
class FirstWord final : public domain::ProgressSink {
 public:
  void Report(const domain::Progress& progress) override {
    done_ = done_ == 0 ? progress.done : done_;
  }

  std::int64_t done() const { return done_; }

 private:
  std::int64_t done_ = 0;
};

TEST_F(WeightsTest, FilesOfARunThatBrokeAnywhereAreGoneOnWith) {
  const TemporaryDirectory folder;
  const std::array<plan::Schedule, 2> schedules{ScheduleOf(0), ScheduleOf(2)};
  const model::Checkpoint& checkpoint = preparation_->model.checkpoint;
  ThreadPool pool(2);
  domain::NoProgress silent;
  std::array<std::optional<artifact::WrittenPart>, 2> kept;
  const auto target = [&](const char* name, std::size_t die) {
    CommonTarget made{.path = folder / (name + std::to_string(die)), .schedule = &schedules[die]};
    made.written = kept[die];
    made.keep = [&, die](const artifact::WrittenPart& part) {
      kept[die] = part;
      return OkStatus();
    };
    made.part_bytes = 1;
    return made;
  };
  FaultyFileSystem whole(std::numeric_limits<int>::max());
  for (const std::size_t die : {0, 1}) {
    ASSERT_TRUE(WriteCommonParams(whole, checkpoint, {target("whole", die)}, pool, silent).ok());
  }
  const int changes = whole.changes() / 2;
  std::int64_t most = 0;
  for (int healthy = 0; healthy < changes - 1; healthy += 5) {
    kept = {};
    for (const std::size_t die : {0, 1}) {  // one comes further than the other
      FaultyFileSystem broken(die == 0 ? healthy : healthy / 2);
      ASSERT_FALSE(
          WriteCommonParams(broken, checkpoint, {target("broken", die)}, pool, silent).ok());
    }
    std::int64_t written = 0;
    for (const auto& part : kept) {
      written += part ? static_cast<std::int64_t>(part->content.size) : 0;
    }
    FirstWord progress;
    ASSERT_TRUE(WriteCommonParams(LocalFileSystem(), checkpoint,
                                  {target("broken", 0), target("broken", 1)}, pool, progress)
                    .ok());
    for (const char* die : {"0", "1"}) {
      EXPECT_EQ(*LocalFileSystem().Read(folder / (std::string("broken") + die)),
                *LocalFileSystem().Read(folder / (std::string("whole") + die)))
          << "die " << die << ", broken after " << healthy << " changes";
    }
    EXPECT_GT(progress.done(), written);
    most = std::max(most, written);
  }
  const auto all = std::filesystem::file_size(folder / "whole0");
  EXPECT_GT(most, static_cast<std::int64_t>(all));  // of two files
}

TEST_F(WeightsTest, APartThatIsNotAsItWasIsWrittenAnew) {
  const TemporaryDirectory folder;
  const plan::Schedule schedule = ScheduleOf(0);
  const model::Checkpoint& checkpoint = preparation_->model.checkpoint;
  ThreadPool pool(1);
  domain::NoProgress silent;
  artifact::WrittenPart part;
  CommonTarget target{.path = folder / "x", .schedule = &schedule};
  target.keep = [&](const artifact::WrittenPart& written) {
    part = written;
    return OkStatus();
  };
  target.part_bytes = 1;
  const auto whole = WriteCommonParams(LocalFileSystem(), checkpoint, {target}, pool, silent);
  ASSERT_TRUE(whole.ok());
  std::string bytes = *LocalFileSystem().Read(folder / "x");
  bytes[part.content.size / 2] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "x.tmp", bytes).ok());
  target.written = part;
  EXPECT_EQ(*WriteCommonParams(LocalFileSystem(), checkpoint, {target}, pool, silent), *whole);
}

TEST(PackedPartsTest, HowFarAFileCameIsRememberedOfWhatItIsMadeOf) {
  const TemporaryDirectory folder;
  const PackedParts parts(LocalFileSystem(), folder.path());
  const Path file = "batch_1/common_die0.params";
  const artifact::WrittenPart part{3, {DigestOf("abc"), 3}};
  EXPECT_FALSE(parts.Find(file, "key"));
  ASSERT_TRUE(parts.PlaceOf(file).ok());
  ASSERT_TRUE(parts.Keep(file, "key", part).ok());
  EXPECT_EQ(parts.Find(file, "key"), part);
  EXPECT_FALSE(parts.Find(file, "other"));
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / (file.string() + ".part"),
                                  R"({"key": "key", "ten)")
                  .ok());
  EXPECT_FALSE(parts.Find(file, "key"));
}

TEST_F(WeightsTest, NormsAreTheModelsOwnNumbers) {
  const TemporaryDirectory folder;
  const plan::Schedule schedule = ScheduleOf(0);
  ThreadPool pool(1);
  domain::NoProgress progress;
  ASSERT_TRUE(WriteCommonParams(LocalFileSystem(), preparation_->model.checkpoint,
                                {{folder / "common", &schedule}}, pool, progress)
                  .ok());
  const auto common = artifact::ParamsFile::Open(folder / "common");
  const auto norm = common->Find("model.norm.weight");
  const auto expected = preparation_->model.checkpoint.ReadFloats("model.norm.weight");
  ASSERT_TRUE(norm.ok() && expected.ok());
  ASSERT_EQ(norm->bytes.size(), expected->size() * sizeof(float));
  EXPECT_EQ(std::memcmp(norm->bytes.data(), expected->data(), norm->bytes.size()), 0);
}

TEST_F(WeightsTest, AnotherVersionOfTheProgramDoesNotTakeThemFromTheCache) {
  const plan::Schedule schedule = ScheduleOf(0);
  const std::string key = WeightCache::KeyOf(*preparation_, schedule);
  EXPECT_EQ(WeightCache::KeyOf(*preparation_, schedule), key);
  preparation_->toolchain.version += "+1";
  EXPECT_NE(WeightCache::KeyOf(*preparation_, schedule), key);
}

TEST(WeightCacheTest, AFileThatCannotBeLinkedLeavesNothing) {
  const TemporaryDirectory folder;
  WeightCache cache(LocalFileSystem(), folder / "cache");
  ASSERT_TRUE(LocalFileSystem().CreateDirectories(folder / "unlinkable").ok());
  cache.Keep(std::string(64, 'a'), folder / "unlinkable", std::string(64, '0'));
  EXPECT_TRUE(testing::Contents(folder / "cache").empty());
}

TEST(WeightCacheTest, DigestsWithoutAFileAreForgotten) {
  const TemporaryDirectory folder;
  const Path digest = folder / (std::string(64, 'a') + ".sha256");
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), digest, std::string(64, '0')).ok());
  WeightCache(LocalFileSystem(), folder.path()).Prune();
  EXPECT_FALSE(std::filesystem::exists(digest));
}

/// Bytes of everything in a folder whose name ends so.
std::uint64_t BytesOf(const std::map<std::string, std::string>& contents, std::string_view end) {
  std::uint64_t bytes = 0;
  for (const auto& [name, content] : contents) {
    bytes += name.ends_with(end) ? content.size() : 0;
  }
  return bytes;
}

/// What a directory of a published model would have besides parameters, by one of a small model
/// with the same programs: they, and what describes them, do not grow with a model.
std::uint64_t BytesBesidesParameters(const std::map<std::string, std::string>& contents,
                                     const model::ModelShape& shape) {
  return BytesOf(contents, "") - BytesOf(contents, ".params") -
         BytesOf(contents, std::string(artifact::kGoldenFile)) +
         static_cast<std::uint64_t>(GoldenBytes(shape, 4096));
}

std::uint64_t TokenizerBytes(std::int64_t vocabulary) {
  std::uint64_t bytes = 0;
  for (const auto& [name, content] : quant::MakeTokenizer(vocabulary).files) {
    bytes += content.size();
  }
  return bytes;
}

TEST(DirectorySize, IsThatOfTheWeightsAndOfSmallProgramsWhateverTheNumberOfBuckets) {
  const TemporaryDirectory folder;
  format::Json config = tyllm::testing::ModelDirectory::SmallQwen3Config();
  config["hidden_size"] = 512;
  config["intermediate_size"] = 2048;
  config["head_dim"] = 128;
  config["vocab_size"] = 20000;
  auto model = tyllm::testing::ModelDirectory::Quantized(
      config, tyllm::testing::StorageVariant{model::CheckpointFormat::kAwqGemm}, 128);
  // Random weights this wide give logits far larger than a trained model's, and errors with them.
  std::vector<float> head = tyllm::testing::MadeFloats("lm_head", 20000 * 512);
  for (float& weight : head) {
    weight *= 0.125F;
  }
  std::vector<std::uint16_t> halves(head.size());
  format::FloatsToHalves(head, halves);
  model.tensors["lm_head.weight"] = {
      format::DType::kF16, {20000, 512}, tyllm::testing::BytesOf(halves)};
  model.Write(folder / "model");
  CompileRequest request = testing::GoldenRequest(2);
  request.model = folder / "model";
  request.options.seq_lens = {1, 8, 16};
  domain::NoProgress progress;
  const auto summary = Compile(LocalFileSystem(), request, folder / "out", progress);
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  const auto contents = testing::Contents(summary->directory);
  const std::uint64_t weights =
      BytesOf(contents, "common_die0.params") + BytesOf(contents, "common_die1.params");
  EXPECT_GT(weights, 40U << 20);
  EXPECT_LT(BytesOf(contents, ".params"), weights * 101 / 100);
  // Two dies have ten programs; of the smallest published models all that is less than a half
  // percent, and with a tokenizer as `tyllm inspect --synthesize` makes it less than a whole one.
  for (const model::PublishedModel& published : model::PublishedModels()) {
    const auto parameters = static_cast<std::uint64_t>(testing::WeightBytes(published.shape));
    const std::uint64_t besides = BytesBesidesParameters(contents, published.shape);
    EXPECT_LT(besides * 200, parameters) << published.name;
    if (published.name == "Qwen3-0.6B") {
      EXPECT_LT((besides + TokenizerBytes(published.shape.vocabulary)) * 100, parameters);
    }
  }
  // Nor are the weights larger than what the model's own file holds of them.
  EXPECT_LT(weights,
            std::filesystem::file_size(folder / "model" / "model.safetensors") * 101 / 100);
}

}  // namespace
}  // namespace tyllm::compile
