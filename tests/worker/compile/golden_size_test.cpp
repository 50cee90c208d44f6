// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/layout.h"
#include "worker/compile/golden.h"
#include "worker/model/published_models.h"

namespace tyllm::compile {
namespace {

constexpr std::int64_t kMaxKv = 4096;

TEST(Golden, TakesLessThanAQuarterOfAPercentOfTheWeightsOfAnyPublishedModel) {
  for (const model::PublishedModel& published : model::PublishedModels()) {
    EXPECT_LT(GoldenBytes(published.shape, kMaxKv) * 400, testing::WeightBytes(published.shape))
        << published.name;
  }
}

TEST(Golden, IsAsLargeAsIsSaid) {
  const tyllm::testing::TemporaryDirectory folder;
  const CompileRequest request = testing::GoldenRequest(1);
  const auto model = forward::OpenModel(request.model);
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  domain::NoProgress progress;
  const Path path = folder / "golden.safetensors";
  ASSERT_TRUE(
      WriteGolden(LocalFileSystem(), *model, request.options.max_kv, {}, 1, path, progress).ok());
  constexpr std::int64_t kHeader = 1024;
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(path));
  EXPECT_GE(bytes, GoldenBytes(model->shape(), request.options.max_kv));
  EXPECT_LE(bytes, GoldenBytes(model->shape(), request.options.max_kv) + kHeader);
}

TEST(Golden, OfATokenizerThatIsNotReadHereIsOfScatteredTokens) {
  const tyllm::testing::TemporaryDirectory folder;
  const Path directory = folder / "model";
  std::filesystem::copy(testing::GoldenRequest(1).model, directory);
  const Status written = WriteFileAtomically(
      LocalFileSystem(), directory / artifact::kTokenizerFile,
      R"({"added_tokens": [], "normalizer": {"type": "Sequence", "normalizers": []},
          "pre_tokenizer": null, "post_processor": null, "decoder": null,
          "model": {"type": "BPE", "vocab": {}, "merges": []}})");
  ASSERT_TRUE(written.ok());
  const auto model = forward::OpenModel(directory);
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  domain::NoProgress progress;
  const Path path = folder / "golden.safetensors";
  const Status status = WriteGolden(LocalFileSystem(), *model, 64, {}, 1, path, progress);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

}  // namespace
}  // namespace tyllm::compile
