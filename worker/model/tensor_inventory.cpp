// SPDX-License-Identifier: Apache-2.0
#include "worker/model/tensor_inventory.h"

#include <utility>

namespace tyllm::model {

namespace {

class Inventory {
 public:
  void AddTensor(std::string name, std::vector<std::int64_t> shape) {
    needed_.push_back({std::move(name), std::move(shape), false});
  }

  void AddNorm(const std::string& module, std::int64_t columns) {
    AddTensor(module + ".weight", {columns});
  }

  void AddLinear(const std::string& module, std::int64_t out, std::int64_t in, bool bias = false) {
    needed_.push_back({module, {out, in}, true});
    if (bias) {
      AddTensor(module + ".bias", {out});
    }
  }

  std::vector<NeededTensor> Take() { return std::move(needed_); }

 private:
  std::vector<NeededTensor> needed_;
};

void AddLayer(const ModelShape& shape, std::int64_t layer, Inventory& inventory) {
  const auto in_layer = [&](std::string_view module) { return shape.names.InLayer(layer, module); };
  const DecoderNames& names = shape.names;
  inventory.AddNorm(in_layer(names.attention_norm), shape.width);
  inventory.AddLinear(in_layer(names.q), shape.q_columns(), shape.width, shape.qkv_bias);
  inventory.AddLinear(in_layer(names.k), shape.kv_columns(), shape.width, shape.qkv_bias);
  inventory.AddLinear(in_layer(names.v), shape.kv_columns(), shape.width, shape.qkv_bias);
  if (shape.qk_norm) {
    inventory.AddNorm(in_layer(names.q_norm), shape.head_size);
    inventory.AddNorm(in_layer(names.k_norm), shape.head_size);
  }
  inventory.AddLinear(in_layer(names.o), shape.width, shape.q_columns());
  inventory.AddNorm(in_layer(names.mlp_norm), shape.width);
  inventory.AddLinear(in_layer(names.gate), shape.intermediate, shape.width);
  inventory.AddLinear(in_layer(names.up), shape.intermediate, shape.width);
  inventory.AddLinear(in_layer(names.down), shape.width, shape.intermediate);
}

}  // namespace

std::vector<NeededTensor> NeededTensors(const ModelShape& shape) {
  Inventory inventory;
  inventory.AddTensor(std::string(shape.names.embedding) + ".weight",
                      {shape.vocabulary, shape.width});
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    AddLayer(shape, layer, inventory);
  }
  inventory.AddNorm(std::string(shape.names.final_norm), shape.width);
  if (!shape.tied_head) {
    inventory.AddLinear(std::string(shape.names.head), shape.vocabulary, shape.width);
  }
  return inventory.Take();
}

std::int64_t Elements(const std::vector<NeededTensor>& tensors) {
  std::int64_t sum = 0;
  for (const NeededTensor& tensor : tensors) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : tensor.shape) {
      elements *= extent;
    }
    sum += elements;
  }
  return sum;
}

}  // namespace tyllm::model
