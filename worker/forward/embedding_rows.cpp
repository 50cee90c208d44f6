// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/embedding_rows.h"

#include <algorithm>
#include <numeric>

#include "common/format/safetensors.h"

namespace tyllm::forward {

namespace {

/// A row that is looked at maps up to a megabyte around it; that of so many is given back.
constexpr std::size_t kRowsOfPages = 32;

/// The rows of a table [rows, columns] in a file, as float32.
Result<tensor::Matrix> ReadRows(const model::Checkpoint& checkpoint, const std::string& name,
                                std::span<const std::int32_t> rows) {
  TYLLM_ASSIGN(const format::TensorView table, checkpoint.Find(name));
  if (table.shape.size() != 2 || table.shape[0] <= rows.back()) {
    return InvalidArgument("tensor " + name + " has no row " + std::to_string(rows.back()) +
                           ", expected one for each token of the vocabulary");
  }
  const std::int64_t columns = table.shape[1];
  const std::size_t bytes = table.bytes.size() / static_cast<std::size_t>(table.shape[0]);
  tensor::Matrix read(std::ssize(rows), columns);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const format::TensorView row{
        table.dtype,
        {columns},
        table.bytes.subspan(static_cast<std::size_t>(rows[i]) * bytes, bytes)};
    TYLLM_ASSIGN(const std::vector<float> numbers, format::ToFloats(name, row));
    std::ranges::copy(numbers, read.row(static_cast<std::int64_t>(i)).begin());
    if (i % kRowsOfPages == kRowsOfPages - 1) {
      checkpoint.Forget(name);
    }
  }
  checkpoint.Forget(name);
  return read;
}

}  // namespace

Status CheckIds(const TokenBatch& batch, std::int64_t vocabulary) {
  const std::int64_t tokens =
      batch.lengths.empty()
          ? batch.sequences * batch.length
          : std::accumulate(batch.lengths.begin(), batch.lengths.end(), std::int64_t{0});
  TYLLM_CHECK(static_cast<std::int64_t>(batch.ids.size()) == tokens);
  for (std::size_t i = 0; i < batch.ids.size(); ++i) {
    if (batch.ids[i] < 0 || batch.ids[i] >= vocabulary) {
      return InvalidArgument("token " + std::to_string(i) + " has id " +
                             std::to_string(batch.ids[i]) + ", expected 0 to " +
                             std::to_string(vocabulary - 1) +
                             "; is this the model's own tokenizer?");
    }
  }
  return OkStatus();
}

Result<tensor::Matrix> EmbedTokens(BlockRunner& runner, const model::Checkpoint& checkpoint,
                                   const graph::Block& embedding, const TokenBatch& batch) {
  TYLLM_TRY(CheckIds(batch, checkpoint.shape().vocabulary));
  std::vector<std::int32_t> used = batch.ids;
  std::ranges::sort(used);
  used.erase(std::unique(used.begin(), used.end()), used.end());
  TokenBatch numbered = batch;
  for (std::int32_t& id : numbered.ids) {
    id = static_cast<std::int32_t>(std::ranges::lower_bound(used, id) - used.begin());
  }
  BlockWeights weights;
  for (const graph::Node& node : embedding.nodes) {
    TYLLM_CHECK(node.op == graph::Op::kEmbed);
    TYLLM_ASSIGN(tensor::Matrix rows,
                 ReadRows(checkpoint, node.weight, used).Annotate("loading " + embedding.name));
    weights[node.weight] = runner.backend().Place(std::move(rows));
  }
  return runner.RunEmbedding(embedding, weights, numbered);
}

std::vector<const graph::Block*> LayersOf(const Model& model) {
  std::vector<const graph::Block*> layers;
  for (const graph::Block& layer : model.graph.layers) {
    layers.push_back(&layer);
  }
  return layers;
}

}  // namespace tyllm::forward
