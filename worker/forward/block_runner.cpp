// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/block_runner.h"

#include <algorithm>
#include <utility>

#include "worker/forward/embedding_rows.h"
#include "worker/tensor/tower_ops.h"

namespace tyllm::forward {

namespace {

/// How many nodes have yet to read each value.
std::vector<int> CountReaders(const graph::Block& block) {
  std::vector<int> readers(block.values.size(), 0);
  for (const graph::Node& node : block.nodes) {
    for (const graph::ValueId id : node.inputs) {
      ++readers[static_cast<std::size_t>(id)];
    }
  }
  ++readers[static_cast<std::size_t>(block.output)];
  return readers;
}

/// The rows of `beginning` and then those of one sequence, for each of the sequences in `rows`.
tensor::Matrix InFrontOfEach(tensor::Backend& backend, const tensor::Matrix& beginning,
                             const tensor::Matrix& rows, std::int64_t sequences) {
  const std::int64_t length = rows.rows() / sequences;
  tensor::Matrix joined;
  for (std::int64_t s = 0; s < sequences; ++s) {
    backend.AppendRows(beginning.view(), joined);
    backend.AppendRows(rows.rows(s * length, length), joined);
  }
  return joined;
}

}  // namespace

/// One run of a block.
struct BlockRunner::Call {
  const graph::Block& block;
  const BlockWeights& weights;
  const TokenBatch* batch = nullptr;       ///< the embedding's input
  const tensor::Matrix* hidden = nullptr;  ///< any other block's input
  const Observer* observer = nullptr;
  LayerCache* cache = nullptr;
  const LayerCache* beginning = nullptr;
  const tensor::Matrix* rotations = nullptr;  ///< instead of positions
  std::int64_t sequences = 0;
  std::int64_t length = 0;
  std::int64_t history = 0;
  std::span<const std::int64_t> lengths = {};  ///< instead of `sequences` equal ones
  std::vector<std::int32_t> positions = {};
  std::vector<tensor::Matrix> values = {};
  std::vector<int> readers = {};

  std::int64_t rows() const {
    return batch != nullptr ? static_cast<std::int64_t>(batch->ids.size()) : hidden->rows();
  }

  void NumberPositions() {
    const std::vector<std::int64_t> equal(static_cast<std::size_t>(sequences), length);
    for (const std::int64_t count : lengths.empty() ? std::span(equal) : lengths) {
      for (std::int64_t i = 0; i < count; ++i) {
        positions.push_back(static_cast<std::int32_t>(history + i));
      }
    }
  }

  const tensor::Matrix* Value(graph::ValueId id) const {
    return id == 0 ? hidden : &values[static_cast<std::size_t>(id)];
  }

  std::vector<const tensor::Matrix*> Inputs(const graph::Node& node) const {
    std::vector<const tensor::Matrix*> inputs;
    if (node.op != graph::Op::kEmbed) {
      for (const graph::ValueId id : node.inputs) {
        inputs.push_back(Value(id));
      }
    }
    return inputs;
  }

  Result<const tensor::Matrix*> Weight(const std::string& name) const {
    const auto found = weights.find(name);
    if (found == weights.end()) {
      return Internal("block " + block.name + " was run without its weight " + name);
    }
    return &found->second;
  }
};

BlockRunner::BlockRunner(tensor::Backend& backend, const model::ModelShape& shape)
    : BlockRunner(backend, shape, model::RopeFrequencies(shape)) {}

BlockRunner::BlockRunner(tensor::Backend& backend, const model::ModelShape& shape,
                         std::vector<float> frequencies)
    : backend_(backend), shape_(shape), frequencies_(std::move(frequencies)) {}

Result<tensor::Matrix> BlockRunner::RunEmbedding(const graph::Block& block,
                                                 const BlockWeights& weights,
                                                 const TokenBatch& batch) {
  TYLLM_TRY(CheckIds(batch, shape_.vocabulary));
  Call call{.block = block, .weights = weights};
  call.batch = &batch;
  call.sequences = batch.sequences;
  call.length = batch.length;
  TYLLM_ASSIGN(tensor::Matrix hidden, Execute(call));
  if (batch.visual) {
    batch.visual->Place(backend_, hidden);
  }
  return hidden;
}

Result<tensor::Matrix> BlockRunner::Run(const graph::Block& block, const BlockWeights& weights,
                                        const tensor::Matrix& hidden, std::int64_t sequences,
                                        const Observer& observer, const tensor::Matrix* rotations) {
  TYLLM_CHECK(sequences > 0 && hidden.rows() % sequences == 0);
  Call call{.block = block, .weights = weights};
  call.hidden = &hidden;
  call.observer = observer ? &observer : nullptr;
  call.rotations = rotations;
  call.sequences = sequences;
  call.length = hidden.rows() / sequences;
  return Execute(call);
}

Result<tensor::Matrix> BlockRunner::Run(const graph::Block& block, const BlockWeights& weights,
                                        const tensor::Matrix& hidden,
                                        std::span<const std::int64_t> lengths,
                                        const Observer& observer) {
  TYLLM_CHECK(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}) == hidden.rows());
  Call call{.block = block, .weights = weights};
  call.hidden = &hidden;
  call.observer = observer ? &observer : nullptr;
  call.lengths = lengths;
  return Execute(call);
}

Result<tensor::Matrix> BlockRunner::Continue(const graph::Block& block, const BlockWeights& weights,
                                             const tensor::Matrix& hidden, LayerCache& cache,
                                             const tensor::Matrix* rotations) {
  Call call{.block = block, .weights = weights};
  call.hidden = &hidden;
  call.cache = &cache;
  call.rotations = rotations;
  call.sequences = 1;
  call.length = hidden.rows();
  call.history = cache.keys.rows();
  return Execute(call);
}

Result<tensor::Matrix> BlockRunner::Branch(const graph::Block& block, const BlockWeights& weights,
                                           const tensor::Matrix& hidden, std::int64_t sequences,
                                           const LayerCache& beginning) {
  TYLLM_CHECK(sequences > 0 && hidden.rows() % sequences == 0);
  Call call{.block = block, .weights = weights};
  call.hidden = &hidden;
  call.beginning = &beginning;
  call.sequences = sequences;
  call.length = hidden.rows() / sequences;
  call.history = beginning.keys.rows();
  return Execute(call);
}

Result<tensor::Matrix> BlockRunner::Execute(Call& call) {
  const graph::Block& block = call.block;
  workspace_.PrepareFor(call.rows());
  call.values.resize(block.values.size());
  call.readers = CountReaders(block);
  call.NumberPositions();
  for (const graph::Node& node : block.nodes) {
    const auto output = static_cast<std::size_t>(node.output);
    tensor::Matrix out = workspace_.Take(call.rows(), block.values[output].columns);
    TYLLM_TRY(RunNode(call, node, out).Annotate("block " + block.name));
    if (call.observer != nullptr) {
      (*call.observer)(node, call.Inputs(node), out);
    }
    call.values[output] = std::move(out);
    for (const graph::ValueId id : node.inputs) {
      if (--call.readers[static_cast<std::size_t>(id)] == 0 && id != 0) {
        workspace_.GiveBack(std::exchange(call.values[static_cast<std::size_t>(id)], {}));
      }
    }
  }
  return std::move(call.values[static_cast<std::size_t>(block.output)]);
}

Status BlockRunner::RunNode(Call& call, const graph::Node& node, tensor::Matrix& out) {
  const std::vector<const tensor::Matrix*> inputs = call.Inputs(node);
  const tensor::Matrix* weight = nullptr;
  std::span<const float> bias;
  if (!node.weight.empty()) {
    TYLLM_ASSIGN(weight, call.Weight(node.weight));
  }
  if (!node.bias.empty()) {
    TYLLM_ASSIGN(const tensor::Matrix* row, call.Weight(node.bias));
    bias = row->numbers();
  }
  switch (node.op) {
    case graph::Op::kEmbed:
      backend_.Embed(weight->view(), call.batch->ids, out);
      break;
    case graph::Op::kRmsNorm:
    case graph::Op::kHeadRmsNorm:
      backend_.RmsNorm(inputs[0]->view(), weight->numbers(), shape_.norm_epsilon, out);
      break;
    case graph::Op::kLinear:
      backend_.Linear(inputs[0]->view(), weight->view(), bias, out);
      break;
    case graph::Op::kRope:
      backend_.Copy(inputs[0]->view(), out);
      return Rotate(call, out);
    case graph::Op::kAttention:
      Attend(call, inputs, out);
      break;
    case graph::Op::kSiluMul:
      backend_.SiluMul(inputs[0]->view(), inputs[1]->view(), out);
      break;
    case graph::Op::kAdd:
      backend_.Add(inputs[0]->view(), inputs[1]->view(), out);
      break;
    case graph::Op::kLayerNorm:
    case graph::Op::kGelu:
    case graph::Op::kGeluTanh:
    case graph::Op::kQuickGelu:
    case graph::Op::kGridEmbedding:
    case graph::Op::kFrameAttention:
    case graph::Op::kWindowAttention:
    case graph::Op::kToWindows:
    case graph::Op::kFromWindows:
    case graph::Op::kMerge:
      return Internal("operation " + std::string(graph::kOpNames.Name(node.op)) +
                      " is one of visual towers (forward::TowerRunner)");
  }
  return OkStatus();
}

Status BlockRunner::Rotate(Call& call, tensor::Matrix& out) {
  if (call.rotations == nullptr) {
    backend_.Rope(out, call.positions, frequencies_, shape_.head_size);
    return OkStatus();
  }
  tensor::TowerOps* const ops = tensor::FindTowerOps(backend_);
  if (ops == nullptr) {
    return Unimplemented("back end '" + std::string(backend_.name()) +
                         "' cannot run texts with images; use --device cpu");
  }
  ops->RotateBy(call.rotations->view(), shape_.head_size, out);
  return OkStatus();
}

void BlockRunner::Attend(Call& call, std::span<const tensor::Matrix* const> inputs,
                         tensor::Matrix& out) {
  const tensor::Matrix* keys = inputs[1];
  const tensor::Matrix* values = inputs[2];
  if (!call.lengths.empty()) {
    AttendByLength(call.lengths, inputs, out);
    return;
  }
  if (call.cache != nullptr) {
    backend_.AppendRows(keys->view(), call.cache->keys);
    backend_.AppendRows(values->view(), call.cache->values);
    keys = &call.cache->keys;
    values = &call.cache->values;
  }
  LayerCache joined;
  if (call.beginning != nullptr) {
    joined = {.keys = InFrontOfEach(backend_, call.beginning->keys, *keys, call.sequences),
              .values = InFrontOfEach(backend_, call.beginning->values, *values, call.sequences)};
    keys = &joined.keys;
    values = &joined.values;
  }
  backend_.Attention({.sequences = call.sequences,
                      .length = call.length,
                      .history = call.history,
                      .heads = shape_.heads,
                      .kv_heads = shape_.kv_heads,
                      .head_size = shape_.head_size},
                     inputs[0]->view(), keys->view(), values->view(), out);
}

/// Neighbours of equal length at once.
void BlockRunner::AttendByLength(std::span<const std::int64_t> lengths,
                                 std::span<const tensor::Matrix* const> inputs,
                                 tensor::Matrix& out) {
  tensor::Matrix all;
  tensor::Matrix part;
  for (std::size_t next = 0; next < lengths.size();) {
    const std::size_t first = next;
    while (next < lengths.size() && lengths[next] == lengths[first]) {
      ++next;
    }
    const auto sequences = static_cast<std::int64_t>(next - first);
    const std::int64_t rows = sequences * lengths[first];
    backend_.Attention({.sequences = sequences,
                        .length = lengths[first],
                        .heads = shape_.heads,
                        .kv_heads = shape_.kv_heads,
                        .head_size = shape_.head_size},
                       inputs[0]->rows(all.rows(), rows), inputs[1]->rows(all.rows(), rows),
                       inputs[2]->rows(all.rows(), rows), part);
    backend_.AppendRows(part.view(), all);
  }
  out = std::move(all);
}

}  // namespace tyllm::forward
