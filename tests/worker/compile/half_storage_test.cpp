// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/half_storage.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "tests/support/model_directory.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/buffer_config.h"
#include "worker/artifact/layout.h"
#include "worker/compile/compile.h"
#include "worker/compile/preparation.h"
#include "worker/compile/weights.h"
#include "worker/die/packing.h"
#include "worker/die/row_lanes.h"
#include "worker/plan/weight_layout.h"
#include "worker/simulator/loaded_artifact.h"
#include "worker/simulator/unpack.h"

namespace tyllm::compile {
namespace {

using tyllm::testing::ModelDirectory;
using tyllm::testing::TemporaryDirectory;

constexpr const char* kTable = "model.embed_tokens";
constexpr const char* kHead = "lm_head";

Preparation Prepared(const CompileRequest& request) {
  domain::NoProgress progress;
  auto prepared = Prepare(request, NeedsCompiler::kNo, progress);
  EXPECT_TRUE(prepared.ok()) << prepared.status().ToString();
  return *std::move(prepared);
}

/// A small float model with an untied head, and its head and table rounded to bfloat16.
ModelDirectory BrainModel() {
  ModelDirectory model = ModelDirectory::Float(ModelDirectory::SmallQwen3Config());
  for (const std::string name : {"lm_head.weight", "model.embed_tokens.weight"}) {
    std::vector<std::byte>& bytes = model.tensors[name].bytes;
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
      bytes[i] &= std::byte{0xF8};
    }
  }
  return model;
}

CompileRequest RequestFor(const Path& model, std::int64_t dies) {
  CompileRequest request = testing::GoldenRequest(dies);
  request.model = model;
  return request;
}

/// The first row blocks of the head of a die, unpacked.
std::vector<float> HeadOf(const Preparation& preparation, std::int64_t die, const Path& file) {
  const plan::Schedule schedule = std::move((*preparation.Plan(die))[0].schedule);
  ThreadPool pool(2);
  domain::NoProgress progress;
  EXPECT_TRUE(WriteCommonParams(LocalFileSystem(), preparation.model.checkpoint,
                                {{file, &schedule}}, pool, progress)
                  .ok());
  const auto opened = artifact::ParamsFile::Open(file);
  EXPECT_TRUE(opened.ok());
  std::vector<float> numbers;
  for (const plan::Weight& weight : schedule.weights) {
    if (weight.name != kHead && weight.name != kTable) {
      continue;
    }
    const std::span<const std::byte> bytes = opened->Find(weight.name)->bytes;
    const std::int64_t columns = weight.columns.size();
    const auto size = static_cast<std::size_t>(plan::RowBlockBytes(weight));
    for (std::int64_t b = 0; b < die::RowBlocks(weight.rows.size()); ++b) {
      const auto block = bytes.subspan(static_cast<std::size_t>(b) * size, size);
      std::vector<float> rows(static_cast<std::size_t>(columns * 16));
      weight.kind == plan::WeightKind::kHalfIn12
          ? simulator::UnpackF16In12Block(block, columns, weight.exceptions, rows)
          : simulator::UnpackF16Block(block, columns, rows);
      numbers.insert(numbers.end(), rows.begin(), rows.end());
    }
  }
  return numbers;
}

TEST(HalfStorage, TablesOfModelsInBfloat16TakeTwelveBits) {
  for (const std::int64_t dies : {1, 3}) {
    const Preparation preparation = Prepared(testing::GoldenRequest(dies));
    ASSERT_TRUE(preparation.formats.in_12_bits.contains(kTable)) << dies;
    for (std::int64_t die = 0; die < dies; ++die) {
      const auto programs = preparation.Plan(die);
      ASSERT_TRUE(programs.ok());
      const plan::Weight& table = programs->front().schedule.weights.front();
      EXPECT_EQ(table.kind, plan::WeightKind::kHalfIn12);
      EXPECT_LT(plan::WeightBytes(table), 128U * 2 * 16 * 32 * 8 / 10);
    }
  }
}

TEST(HalfStorage, HalvesThatOnceWereBfloat16TakeTwelveBitsAndStayTheSameNumbers) {
  const TemporaryDirectory folder;
  BrainModel().Write(folder / "model");
  for (const std::int64_t dies : {1, 2}) {
    Preparation preparation = Prepared(RequestFor(folder / "model", dies));
    EXPECT_TRUE(preparation.formats.in_12_bits.contains(kHead));
    EXPECT_TRUE(preparation.formats.in_12_bits.contains(kTable));
    const std::vector<float> narrow = HeadOf(preparation, dies - 1, folder / "narrow");
    preparation.formats.in_12_bits.clear();
    const std::vector<float> wide = HeadOf(preparation, dies - 1, folder / "wide");
    ASSERT_EQ(narrow.size(), wide.size());
    EXPECT_EQ(std::memcmp(narrow.data(), wide.data(), wide.size() * sizeof(float)), 0);
    EXPECT_LT(std::filesystem::file_size(folder / "narrow"),
              std::filesystem::file_size(folder / "wide"));
  }
}

TEST(HalfStorage, OneNumberOfMoreBitsKeepsAMatrixAtSixteen) {
  const TemporaryDirectory folder;
  ModelDirectory model = BrainModel();
  model.tensors["lm_head.weight"].bytes[2 * 64 * 17] |= std::byte{1};
  model.Write(folder / "model");
  const Preparation preparation = Prepared(RequestFor(folder / "model", 2));
  EXPECT_FALSE(preparation.formats.in_12_bits.contains(kHead));
  EXPECT_TRUE(preparation.formats.in_12_bits.contains(kTable));
}

TEST(HalfStorage, ManyExceptionsKeepAMatrixAtSixteen) {
  const TemporaryDirectory folder;
  ModelDirectory model = BrainModel();
  std::vector<std::byte>& head = model.tensors["lm_head.weight"].bytes;
  for (std::size_t i = 0; i < 2048; i += 2) {  // a row block: signs and exponents all alike
    head[i] = std::byte{0};
    head[i + 1] = static_cast<std::byte>(i / 2 % 30 * 4 + i / 60 % 2 * 0x80);
  }
  model.Write(folder / "model");
  EXPECT_FALSE(Prepared(RequestFor(folder / "model", 1)).formats.in_12_bits.contains(kHead));
}

TEST(HalfStorage, ACompiledModelIsVerifiedAndNamesItsTables) {
  const TemporaryDirectory folder;
  domain::NoProgress progress;
  const auto summary =
      Compile(LocalFileSystem(), testing::GoldenRequest(2), folder / "out", progress);
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  ASSERT_TRUE(summary->verified.has_value());
  EXPECT_LT(summary->verified->max_difference, 0.02);
  const auto buffers = artifact::ReadBufferConfig(summary->directory);
  ASSERT_TRUE(buffers.ok()) << buffers.status().ToString();
  EXPECT_TRUE(buffers->in_12_bits.contains(kTable));
}

/// A compiled model whose table is in 12 bits, to be damaged.
class DamagedTable : public ::testing::Test {
 protected:
  void SetUp() override {
    domain::NoProgress progress;
    const auto summary =
        Compile(LocalFileSystem(), testing::GoldenRequest(1), folder_ / "out", progress);
    ASSERT_TRUE(summary.ok()) << summary.status().ToString();
    directory_ = summary->directory;
  }

  /// Changes four bytes of the first row block of the table.
  void Write(std::uint64_t at, std::uint32_t bits) const {
    const Path path = directory_ / artifact::CommonParams(0);
    std::string bytes = *LocalFileSystem().Read(path);
    const std::uint64_t table = artifact::ParamsFile::Open(path)->Find(kTable)->offset;
    std::memcpy(bytes.data() + table + at, &bits, sizeof(bits));
    std::filesystem::remove(path);  // may be a link to the cache's
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, bytes).ok());
  }

  void ExpectRefused() const {
    for (const auto engine : {simulator::Engine::kCompiled, simulator::Engine::kInterpreter}) {
      const Status status = simulator::LoadedArtifact::Load(directory_, engine).status();
      EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
      for (const char* const part : {"common_die0.params", "row block 0", kTable}) {
        EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
      }
    }
  }

  TemporaryDirectory folder_;
  Path directory_;
};

TEST_F(DamagedTable, WithMoreExceptionsThanThereIsRoomForIsRefused) {
  Write(die::kRowBlock, 100'000);
  ExpectRefused();
  Write(die::kRowBlock, 0xFFFFFFFF);
  ExpectRefused();
}

TEST_F(DamagedTable, WithAnExceptionBehindTheLastColumnIsRefused) {
  const auto buffers = artifact::ReadBufferConfig(directory_);
  ASSERT_TRUE(buffers.ok());
  ASSERT_GT(buffers->in_12_bits.at(kTable), 1);
  Write(die::kRowBlock, 1);
  Write(die::kRowBlock + 4, 128 * 16);  // the model has columns 0 to 127
  ExpectRefused();
}

TEST_F(DamagedTable, WithExceptionsOutOfOrderIsRefused) {
  Write(die::kRowBlock, 2);
  Write(die::kRowBlock + 4, 90 * 16);
  Write(die::kRowBlock + 8, 3 * 16);
  ExpectRefused();
}

}  // namespace
}  // namespace tyllm::compile
