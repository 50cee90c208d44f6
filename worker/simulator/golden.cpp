// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/golden.h"

#include <cstring>
#include <string>

#include "common/format/safetensors.h"
#include "worker/simulator/stepped_rows.h"

namespace tyllm::simulator {

namespace {

Status Malformed(const Path& path, const std::string& why) {
  return DataLoss(path.string() + ": " + why + "; compile the model again");
}

Result<format::TensorView> Find(const format::SafetensorsFile& file, std::string_view name,
                                format::DType dtype, std::size_t dimensions) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) {
    return Malformed(file.path(), "tensor " + std::string(name) + " is missing");
  }
  const format::TensorView& tensor = found->second;
  if (tensor.dtype != dtype || tensor.shape.size() != dimensions) {
    return Malformed(file.path(), "tensor " + std::string(name) + " is " +
                                      std::string(format::NamesOf(dtype).Name(tensor.dtype)) +
                                      " with " + std::to_string(tensor.shape.size()) +
                                      " dimensions, expected " +
                                      std::string(format::NamesOf(dtype).Name(dtype)) + " with " +
                                      std::to_string(dimensions));
  }
  return tensor;
}

template <typename T>
std::vector<T> Copy(const format::TensorView& tensor) {
  std::vector<T> out(static_cast<std::size_t>(tensor.elements()));
  if (!out.empty()) {
    std::memcpy(out.data(), tensor.bytes.data(), out.size() * sizeof(T));
  }
  return out;
}

/// The rows that are kept whole: [rows, vocabulary].
Status ReadLogits(const format::SafetensorsFile& file, Golden& golden) {
  const auto found = file.tensors().find("logits");
  // Older versions wrote them so.
  const bool floats = found != file.tensors().end() && found->second.dtype == format::DType::kF32;
  TYLLM_ASSIGN(const format::TensorView logits,
               Find(file, "logits", floats ? format::DType::kF32 : format::DType::kU16, 2));
  golden.rows = logits.shape[0];
  if (golden.rows < 1 || golden.rows > std::ssize(golden.tokens) ||
      logits.shape[1] != golden.vocabulary) {
    return Malformed(file.path(), "logits are [" + std::to_string(golden.rows) + ", " +
                                      std::to_string(logits.shape[1]) + "] for " +
                                      std::to_string(golden.tokens.size()) +
                                      " tokens, expected at most a row a token of " +
                                      std::to_string(golden.vocabulary) + " columns");
  }
  if (floats) {
    golden.logits = Copy<float>(logits);
    return OkStatus();
  }
  TYLLM_ASSIGN(const format::TensorView blocks, Find(file, "logit_steps", format::DType::kF32, 3));
  const std::vector<std::int64_t> expected{golden.rows, StepBlocks(golden.vocabulary), 2};
  if (blocks.shape != expected) {
    return Malformed(file.path(), "logit_steps are " + format::ShapeText(blocks.shape) +
                                      ", expected " + format::ShapeText(expected));
  }
  golden.logits = FromSteps({Copy<std::uint16_t>(logits), Copy<float>(blocks)}, golden.vocabulary);
  return OkStatus();
}

Status ReadSummaries(const format::SafetensorsFile& file, Golden& golden) {
  TYLLM_ASSIGN(const format::TensorView tokens, Find(file, "top_ids", format::DType::kI32, 2));
  TYLLM_ASSIGN(const format::TensorView logits, Find(file, "top_logits", format::DType::kF32, 2));
  TYLLM_ASSIGN(const format::TensorView sums, Find(file, "log_sums", format::DType::kF32, 1));
  if (tokens.shape[0] != std::ssize(golden.tokens) || tokens.shape != logits.shape ||
      sums.shape[0] != tokens.shape[0]) {
    return Malformed(file.path(), "top_ids, top_logits and log_sums are not of " +
                                      std::to_string(golden.tokens.size()) + " tokens each");
  }
  golden.top = tokens.shape[1];
  golden.top_tokens = Copy<std::int32_t>(tokens);
  golden.top_logits = Copy<float>(logits);
  golden.log_sums = Copy<float>(sums);
  for (const std::int32_t token : golden.top_tokens) {
    if (token < 0 || token >= golden.vocabulary) {
      return Malformed(file.path(), "top_ids has " + std::to_string(token) +
                                        ", outside the vocabulary of " +
                                        std::to_string(golden.vocabulary) + " tokens");
    }
  }
  return OkStatus();
}

/// Only where programs round to int8.
Status ReadRounding(const format::SafetensorsFile& file, Golden& golden) {
  if (!file.tensors().contains("rounding")) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const format::TensorView rounding, Find(file, "rounding", format::DType::kF32, 1));
  if (rounding.shape[0] != golden.segment_count() + 1) {
    return Malformed(file.path(), "rounding has " + std::to_string(rounding.shape[0]) +
                                      " entries for " + std::to_string(golden.segment_count()) +
                                      " segments, expected one more");
  }
  golden.rounding = Copy<float>(rounding);
  return OkStatus();
}

}  // namespace

Result<Golden> ReadGolden(const Path& path, std::int64_t vocabulary) {
  TYLLM_ASSIGN(const format::SafetensorsFile file, format::SafetensorsFile::Open(path));
  TYLLM_ASSIGN(const format::TensorView ids, Find(file, "token_ids", format::DType::kI32, 1));
  TYLLM_ASSIGN(const format::TensorView best, Find(file, "best_ids", format::DType::kI32, 1));
  TYLLM_ASSIGN(const format::TensorView segments, Find(file, "segments", format::DType::kF32, 2));
  TYLLM_ASSIGN(const format::TensorView greedy, Find(file, "greedy_ids", format::DType::kI32, 1));
  if (best.shape[0] != ids.shape[0] || segments.shape[1] < 1) {
    return Malformed(path, "best_ids has " + std::to_string(best.shape[0]) + " entries for " +
                               std::to_string(ids.shape[0]) + " tokens, and segments " +
                               std::to_string(segments.shape[1]) + " columns");
  }
  Golden golden{.tokens = Copy<std::int32_t>(ids),
                .vocabulary = vocabulary,
                .best = Copy<std::int32_t>(best),
                .width = segments.shape[1],
                .segments = Copy<float>(segments),
                .greedy = Copy<std::int32_t>(greedy)};
  TYLLM_TRY(ReadLogits(file, golden));
  TYLLM_TRY(ReadSummaries(file, golden));
  TYLLM_TRY(ReadRounding(file, golden));
  return golden;
}

Status WriteGoldenFile(FileSystem& files, const Path& path, const Golden& golden) {
  Path unfinished = path;
  unfinished += ".tmp";
  const std::int64_t tokens = std::ssize(golden.tokens);
  const SteppedRows logits = ToSteps(golden.logits, golden.vocabulary);
  std::vector<format::TensorSpec> specs = {
      {"token_ids", format::DType::kI32, {tokens}},
      {"best_ids", format::DType::kI32, {tokens}},
      {"top_ids", format::DType::kI32, {tokens, golden.top}},
      {"top_logits", format::DType::kF32, {tokens, golden.top}},
      {"log_sums", format::DType::kF32, {tokens}},
      {"greedy_ids", format::DType::kI32, {std::ssize(golden.greedy)}},
      {"logits", format::DType::kU16, {golden.rows, golden.vocabulary}},
      {"logit_steps", format::DType::kF32, {golden.rows, StepBlocks(golden.vocabulary), 2}},
      {"segments", format::DType::kF32, {golden.segment_count(), golden.width}}};
  if (!golden.rounding.empty()) {
    specs.push_back({"rounding", format::DType::kF32, {std::ssize(golden.rounding)}});
  }
  TYLLM_ASSIGN(format::SafetensorsWriter writer,
               format::SafetensorsWriter::Create(files, unfinished, specs));
  TYLLM_TRY(writer.Write("token_ids", std::as_bytes(std::span(golden.tokens))));
  TYLLM_TRY(writer.Write("best_ids", std::as_bytes(std::span(golden.best))));
  TYLLM_TRY(writer.Write("top_ids", std::as_bytes(std::span(golden.top_tokens))));
  TYLLM_TRY(writer.Write("top_logits", std::as_bytes(std::span(golden.top_logits))));
  TYLLM_TRY(writer.Write("log_sums", std::as_bytes(std::span(golden.log_sums))));
  TYLLM_TRY(writer.Write("greedy_ids", std::as_bytes(std::span(golden.greedy))));
  TYLLM_TRY(writer.Write("logits", std::as_bytes(std::span(logits.steps))));
  TYLLM_TRY(writer.Write("logit_steps", std::as_bytes(std::span(logits.blocks))));
  TYLLM_TRY(writer.Write("segments", std::as_bytes(std::span(golden.segments))));
  if (!golden.rounding.empty()) {
    TYLLM_TRY(writer.Write("rounding", std::as_bytes(std::span(golden.rounding))));
  }
  TYLLM_TRY(writer.Finish());
  return files.Rename(unfinished, path);
}

}  // namespace tyllm::simulator
