// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/visual_golden.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "common/format/float16.h"
#include "common/format/safetensors.h"
#include "worker/forward/generator.h"

namespace tyllm::simulator {

namespace {

using format::DType;

std::string LevelName(std::size_t level) {
  return "deepstack." + std::to_string(level);
}

/// A tensor of a golden file as the format stores it.
class Reader {
 public:
  explicit Reader(const format::SafetensorsFile& file) : file_(file) {}

  Result<format::TensorView> Find(const std::string& name, DType dtype,
                                  const std::vector<std::int64_t>& shape) const {
    const auto found = file_.tensors().find(name);
    const bool fits = found != file_.tensors().end() && found->second.dtype == dtype &&
                      found->second.shape.size() == shape.size() &&
                      std::ranges::equal(found->second.shape, shape,
                                         [](auto a, auto b) { return b < 0 ? a > 0 : a == b; });
    if (!fits) {
      return DataLoss(file_.path().string() + ": tensor " + name + " is missing, or not " +
                      std::string(format::kDTypeNames.Name(dtype)) + " " +
                      format::ShapeText(shape) + " (-1: any); compile the model again");
    }
    return found->second;
  }

  /// Rows of float32.
  Result<tensor::Matrix> Rows(const std::string& name, std::int64_t rows,
                              std::int64_t columns) const {
    TYLLM_ASSIGN(const format::TensorView view, Find(name, DType::kF32, {rows, columns}));
    TYLLM_ASSIGN(std::vector<float> numbers, format::ToFloats(name, view));
    return tensor::Matrix(view.shape[0], view.shape[1], std::move(numbers));
  }

  Result<std::vector<std::int32_t>> Ids(const std::string& name) const {
    TYLLM_ASSIGN(const format::TensorView view, Find(name, DType::kI32, {-1}));
    std::vector<std::int32_t> ids(static_cast<std::size_t>(view.shape[0]));
    std::memcpy(ids.data(), view.bytes.data(), view.bytes.size());
    return ids;
  }

 private:
  const format::SafetensorsFile& file_;
};

std::span<const std::byte> BytesOf(const tensor::Matrix& rows) {
  return std::as_bytes(
      std::span(rows.data(), static_cast<std::size_t>(rows.rows() * rows.columns())));
}

std::vector<std::uint16_t> HalvesOf(const tensor::Matrix& rows) {
  std::vector<std::uint16_t> halves;
  for (std::int64_t i = 0; i < rows.rows() * rows.columns(); ++i) {
    halves.push_back(format::FloatToHalf(rows.data()[i]));
  }
  return halves;
}

/// Logits of the last `rows` tokens.
Result<tensor::Matrix> LastLogits(const forward::Model& model, forward::BlockRunner& runner,
                                  const forward::TokenBatch& batch, std::int64_t rows) {
  TYLLM_ASSIGN(const std::vector<tensor::Matrix> hidden,
               forward::RunBody(model, runner, {&batch, 1}));
  TYLLM_ASSIGN(const forward::Head head, forward::Head::Load(model));
  tensor::Matrix logits;
  const std::int64_t tokens = hidden.front().rows();
  for (std::int64_t first = tokens - rows; first < tokens; first += head.RowsAtOnce()) {
    const std::int64_t count = std::min(head.RowsAtOnce(), tokens - first);
    TYLLM_ASSIGN(const tensor::Matrix part, head.Logits(runner, hidden.front(), first, count));
    logits.AppendRows(part.view());
  }
  return logits;
}

}  // namespace

Status ComputeVisualGolden(const forward::Model& model, const graph::Tower& tower,
                           std::int64_t rows, std::int64_t greedy, tensor::Backend& backend,
                           domain::ProgressSink& progress, VisualGolden& golden) {
  constexpr std::int64_t kStages = 3;
  const forward::VisualPixels pixels[] = {{golden.item, golden.pixels}};
  progress.Report({"golden_visual", 0, kStages, "passes", "visual tower"});
  TYLLM_ASSIGN(std::vector<forward::VisualFeatures> features,
               forward::RunTower(model, tower, backend, pixels));
  TYLLM_ASSIGN(const model::VisualPositions positions,
               model::PositionsOf(tower.shape, golden.tokens, std::span(&golden.item, 1)));
  TYLLM_ASSIGN(forward::VisualInput input,
               forward::MakeVisualInput(model.shape(), tower.shape, positions, features));
  golden.features = std::move(features.front());
  const auto visual = std::make_shared<const forward::VisualInput>(std::move(input));
  progress.Report({"golden_visual", 1, kStages, "passes", "prompt"});
  const auto tokens = std::ssize(golden.tokens);
  forward::BlockRunner runner(backend, model.shape());
  const forward::TokenBatch batch{
      .sequences = 1, .length = tokens, .ids = golden.tokens, .visual = visual};
  TYLLM_ASSIGN(golden.logits, LastLogits(model, runner, batch, std::min(rows, tokens)));
  progress.Report({"golden_visual", 2, kStages, "passes", "answer"});
  forward::Generator generator(model, backend, kResidentBytes);
  TYLLM_ASSIGN(
      golden.greedy,
      generator.Generate({.prompt = golden.tokens, .max_tokens = greedy, .visual = visual}));
  progress.Report({"golden_visual", kStages, kStages, "passes", ""});
  return OkStatus();
}

Result<VisualGolden> ReadVisualGolden(const Path& path, const artifact::VisualConfig& config,
                                      const model::VisionShape& shape, std::int64_t vocabulary) {
  TYLLM_ASSIGN(const format::SafetensorsFile file, format::SafetensorsFile::Open(path));
  const Reader reader(file);
  VisualGolden golden;
  TYLLM_ASSIGN(const format::TensorView seconds, reader.Find("seconds_per_grid", DType::kF32, {1}));
  TYLLM_ASSIGN(const std::vector<float> second, format::ToFloats("seconds_per_grid", seconds));
  golden.item = {.grid = config.grid,
                 .is_video = config.modality == domain::Modality::kVideo,
                 .seconds_per_grid = static_cast<double>(second.front())};
  TYLLM_ASSIGN(
      const format::TensorView pixels,
      reader.Find("pixel_values", DType::kF16, {config.grid.patches(), shape.patch_values()}));
  TYLLM_ASSIGN(std::vector<float> numbers, format::ToFloats("pixel_values", pixels));
  golden.pixels = tensor::Matrix(config.grid.patches(), shape.patch_values(), std::move(numbers));
  TYLLM_ASSIGN(golden.tokens, reader.Ids("token_ids"));
  TYLLM_ASSIGN(golden.greedy, reader.Ids("greedy_ids"));
  TYLLM_ASSIGN(golden.features.tokens, reader.Rows("features", config.tokens, shape.out_width));
  for (std::size_t level = 0; level < shape.deepstack.size(); ++level) {
    TYLLM_ASSIGN(golden.features.deepstack.emplace_back(),
                 reader.Rows(LevelName(level), config.tokens, shape.out_width));
  }
  TYLLM_ASSIGN(golden.logits, reader.Rows("logits", -1, vocabulary));
  if (golden.logits.rows() > std::ssize(golden.tokens)) {
    return DataLoss(path.string() + ": there are more rows of logits than tokens");
  }
  return golden;
}

Status WriteVisualGolden(FileSystem& files, const Path& path, const VisualGolden& golden) {
  Path unfinished = path;
  unfinished += ".tmp";
  const auto shape = [](const tensor::Matrix& rows) {
    return std::vector<std::int64_t>{rows.rows(), rows.columns()};
  };
  std::vector<format::TensorSpec> specs{{"token_ids", DType::kI32, {std::ssize(golden.tokens)}},
                                        {"greedy_ids", DType::kI32, {std::ssize(golden.greedy)}},
                                        {"seconds_per_grid", DType::kF32, {1}},
                                        {"pixel_values", DType::kF16, shape(golden.pixels)},
                                        {"features", DType::kF32, shape(golden.features.tokens)}};
  for (std::size_t level = 0; level < golden.features.deepstack.size(); ++level) {
    specs.push_back({LevelName(level), DType::kF32, shape(golden.features.deepstack[level])});
  }
  specs.push_back({"logits", DType::kF32, shape(golden.logits)});
  TYLLM_ASSIGN(format::SafetensorsWriter writer,
               format::SafetensorsWriter::Create(files, unfinished, specs));
  const auto seconds = static_cast<float>(golden.item.seconds_per_grid);
  const std::vector<std::uint16_t> halves = HalvesOf(golden.pixels);
  TYLLM_TRY(writer.Write("token_ids", std::as_bytes(std::span(golden.tokens))));
  TYLLM_TRY(writer.Write("greedy_ids", std::as_bytes(std::span(golden.greedy))));
  TYLLM_TRY(writer.Write("seconds_per_grid", std::as_bytes(std::span(&seconds, 1))));
  TYLLM_TRY(writer.Write("pixel_values", std::as_bytes(std::span(halves))));
  TYLLM_TRY(writer.Write("features", BytesOf(golden.features.tokens)));
  for (std::size_t level = 0; level < golden.features.deepstack.size(); ++level) {
    TYLLM_TRY(writer.Write(LevelName(level), BytesOf(golden.features.deepstack[level])));
  }
  TYLLM_TRY(writer.Write("logits", BytesOf(golden.logits)));
  TYLLM_TRY(writer.Finish());
  return files.Rename(unfinished, path);
}

}  // namespace tyllm::simulator
