// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/golden.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "common/format/safetensors.h"
#include "worker/forward/streamed_pass.h"

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

}  // namespace

Result<Golden> ReadGolden(const Path& path, std::int64_t vocabulary) {
  TYLLM_ASSIGN(const format::SafetensorsFile file, format::SafetensorsFile::Open(path));
  TYLLM_ASSIGN(const format::TensorView ids, Find(file, "token_ids", format::DType::kI32, 1));
  TYLLM_ASSIGN(const format::TensorView logits, Find(file, "logits", format::DType::kF32, 2));
  const std::int64_t rows = logits.shape[0];
  if (rows < 1 || rows > ids.shape[0] || logits.shape[1] != vocabulary) {
    return Malformed(path, "logits are [" + std::to_string(rows) + ", " +
                               std::to_string(logits.shape[1]) + "] for " +
                               std::to_string(ids.shape[0]) +
                               " tokens, expected at most a row a token of " +
                               std::to_string(vocabulary) + " columns");
  }
  return Golden{Copy<std::int32_t>(ids), rows, vocabulary, Copy<float>(logits)};
}

Result<Golden> EvaluateGolden(const Path& model, std::span<const std::int32_t> tokens,
                              std::int64_t rows) {
  TYLLM_ASSIGN(const forward::Model opened, forward::OpenModel(model));
  TYLLM_ASSIGN(const auto backend, tensor::MakeBackend("cpu"));
  forward::BlockRunner runner(*backend, opened.shape());
  const auto length = std::ssize(tokens);
  const forward::TokenBatch batch{1, length, {tokens.begin(), tokens.end()}};
  TYLLM_ASSIGN(const auto hidden, forward::RunBody(opened, runner, std::span(&batch, 1)));
  TYLLM_ASSIGN(const forward::Head head, forward::Head::Load(opened));
  Golden golden{batch.ids, rows, opened.shape().vocabulary, {}};
  for (std::int64_t first = length - rows; first < length; first += head.RowsAtOnce()) {
    const std::int64_t count = std::min(head.RowsAtOnce(), length - first);
    TYLLM_ASSIGN(const tensor::Matrix logits, head.Logits(runner, hidden[0], first, count));
    golden.logits.insert(golden.logits.end(), logits.data(),
                         logits.data() + count * golden.vocabulary);
  }
  return golden;
}

}  // namespace tyllm::simulator
