// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/dump.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "common/format/safetensors.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::evaluate {
namespace {

const Path kGolden = Path(testing::kTestData) / "goldens" / "tiny-qwen3-newstyle-config";

std::vector<std::int64_t> GoldenIds() {
  const auto file = *format::SafetensorsFile::Open(kGolden / "golden.safetensors");
  std::vector<std::int32_t> ids(40);
  std::memcpy(ids.data(), file.tensors().at("input_ids").bytes.data(), 160);
  return {ids.begin(), ids.end()};
}

TEST(Dump, HoldsWhatTheGoldensHold) {
  const testing::TemporaryDirectory directory;
  const Path path = directory / "dump.safetensors";
  const Status status = Dump({.model = kGolden, .ids = GoldenIds(), .file = path, .device = "cpu"},
                             LocalFileSystem());
  ASSERT_TRUE(status.ok()) << status.ToString();
  const auto dump = *format::SafetensorsFile::Open(path);
  const auto golden = *format::SafetensorsFile::Open(kGolden / "golden.safetensors");
  for (const char* name : {"logits", "hidden.0", "hidden.1", "hidden.2"}) {
    const format::TensorView& found = dump.tensors().at(name);
    const format::TensorView& expected = golden.tensors().at(name);
    EXPECT_EQ(found.dtype, format::DType::kF32);
    EXPECT_EQ(found.shape, expected.shape);
    const std::vector<float> a = *format::ToFloats(name, found);
    const std::vector<float> b = *format::ToFloats(name, expected);
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_NEAR(a[i], b[i], 1e-3F) << name << " " << i;
    }
  }
  const format::TensorView& ids = dump.tensors().at("input_ids");
  EXPECT_EQ(ids.dtype, format::DType::kI64);
  EXPECT_EQ(ids.shape, (std::vector<std::int64_t>{1, 40}));
  std::vector<std::int64_t> written(40);
  std::memcpy(written.data(), ids.bytes.data(), ids.bytes.size());
  EXPECT_EQ(written, GoldenIds());
  EXPECT_EQ(dump.tensors().size(), 5U);
}

TEST(Dump, RefusesTokensThatTheModelDoesNotHave) {
  const testing::TemporaryDirectory directory;
  for (const std::vector<std::int64_t>& ids : {std::vector<std::int64_t>{1, 512},
                                               {1, -1},
                                               {1, std::int64_t{1} << 40},
                                               {},
                                               std::vector<std::int64_t>(1025, 1)}) {
    const Status status =
        Dump({.model = kGolden, .ids = ids, .file = directory / "dump", .device = "cpu"},
             LocalFileSystem());
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  }
}

TEST(Dump, RefusesWhatItWouldDestroy) {
  const testing::TemporaryDirectory directory;
  const Path model = directory / "model";
  std::filesystem::copy(kGolden, model, std::filesystem::copy_options::recursive);
  const std::string weights = *LocalFileSystem().Read(model / "model.safetensors");
  std::filesystem::create_symlink(model, directory / "alias");
  std::filesystem::create_symlink(model / "config.json", directory / "config");
  std::filesystem::create_symlink(directory / "nowhere", directory / "dangling");
  ASSERT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  for (const Path& file :
       {model / "model.safetensors", model / "new", directory / "alias" / "new",
        directory / "config", directory / "dangling", directory / "pipe", model}) {
    const Status status =
        Dump({.model = model, .ids = {1, 2, 3}, .file = file, .device = "cpu"}, LocalFileSystem());
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << file;
    EXPECT_NE(status.message().find(file.filename().string()), std::string::npos)
        << status.message();
  }
  EXPECT_EQ(*LocalFileSystem().Read(model / "model.safetensors"), weights);
  EXPECT_TRUE(std::filesystem::is_fifo(directory / "pipe"));
  EXPECT_TRUE(std::filesystem::is_symlink(directory / "config"));
}

TEST(Dump, LeavesNeighboursAloneAndReplacesAFile) {
  const testing::TemporaryDirectory directory;
  const Path file = directory / "dump";
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), file, "the last dump").ok());
  for (const std::string& name :
       {std::string("dump.partial"), "dump.tmp." + std::to_string(::getpid())}) {
    std::filesystem::create_directory(directory / name);
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), directory / name / "thesis", "mine").ok());
  }
  const DumpRequest request{.model = kGolden, .ids = {1, 2, 3}, .file = file, .device = "cpu"};
  const Status status = Dump(request, LocalFileSystem());
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(format::SafetensorsFile::Open(file).ok());
  testing::FaultyFileSystem full(3);
  EXPECT_FALSE(Dump(request, full).ok());
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    found += entry.is_directory() && std::filesystem::exists(entry.path() / "thesis") ? 1 : 10;
  }
  EXPECT_EQ(found, 12);  // both folders, and the dump
}

TEST(Dump, LeavesNothingBehindWhenTheDiskIsFull) {
  for (int healthy = 0;; ++healthy) {
    const testing::TemporaryDirectory directory;
    testing::FaultyFileSystem files(healthy);
    const Status status = Dump(
        {.model = kGolden, .ids = {1, 2, 3}, .file = directory / "dump", .device = "cpu"}, files);
    if (!files.failed()) {
      EXPECT_TRUE(status.ok()) << status.ToString();
      EXPECT_GT(healthy, 5);
      break;
    }
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()) ||
                std::filesystem::exists(directory / "dump"));
  }
}

}  // namespace
}  // namespace tyllm::evaluate
