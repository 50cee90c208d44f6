// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/layer_output.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "common/format/float16.h"
#include "worker/model/linear_formats.h"
#include "worker/model/quantized_linear.h"
#include "worker/quant/half_tensors.h"

namespace tyllm::quant {

namespace {

Status CheckScales(const std::string& module, const PackedLinear& packed) {
  const std::span<const std::byte> bytes = BytesOf(packed, model::LinearPart::kScales);
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint16_t)) {
    std::uint16_t half = 0;
    std::memcpy(&half, bytes.data() + at, sizeof(half));
    const float scale = format::HalfToFloat(half);
    if (!std::isfinite(scale) || !(scale > 0.0F)) {
      return Internal("linear layer '" + module + "' got the scale " + std::to_string(scale) +
                      " (number " + std::to_string(at / sizeof(half)) +
                      " of the tensor), expected a positive number");
    }
  }
  return OkStatus();
}

Status AddHalf(const std::string& name, const tensor::Matrix& matrix, LayerOutput& output) {
  TYLLM_ASSIGN(const std::vector<std::uint16_t> halves,
               ToHalf(name, std::span(matrix.data(),
                                      static_cast<std::size_t>(matrix.rows() * matrix.columns()))));
  const auto bytes = std::as_bytes(std::span(halves));
  output.tensors.push_back({name, {bytes.begin(), bytes.end()}});
  return OkStatus();
}

/// What was not packed on the machine that made it.
Status PackOthers(QuantizedLayer& layer, const model::LinearFormat& format,
                  tensor::TaskLanes& lanes) {
  std::vector<const std::string*> modules;
  for (const auto& [module, matrix] : layer.linears) {
    modules.push_back(&module);
  }
  std::vector<Result<PackedLinear>> packed(modules.size(), PackedLinear{});
  lanes.ForEach(std::ssize(modules), [&](std::int64_t task, std::vector<float>&) {
    const auto i = static_cast<std::size_t>(task);
    packed[i] = PackCodes(layer.linears.find(*modules[i])->second, format);
  });
  for (std::size_t i = 0; i < modules.size(); ++i) {
    TYLLM_ASSIGN(layer.packed[*modules[i]], std::move(packed[i]));
  }
  layer.linears.clear();
  return OkStatus();
}

}  // namespace

Result<LayerOutput> PackLayer(const graph::Block& block, QuantizedLayer& layer,
                              model::CheckpointFormat format, tensor::TaskLanes& lanes) {
  const model::LinearFormat& layout = model::LinearFormatOf(format);
  TYLLM_TRY(PackOthers(layer, layout, lanes));
  LayerOutput output;
  for (auto& [module, linear] : layer.packed) {
    TYLLM_TRY(CheckScales(module, linear));
    for (model::PackedPart& part : linear.parts) {
      output.tensors.push_back({module + std::string(part.key), std::move(part.bytes)});
    }
    output.codes[module] = linear.sum.Hex();
  }
  for (const graph::Node& node : block.nodes) {
    const bool is_coded = layer.packed.contains(node.weight);
    if (!node.weight.empty() && !is_coded) {
      const bool is_linear = node.op == graph::Op::kLinear;
      TYLLM_TRY(AddHalf(is_linear ? node.weight + ".weight" : node.weight,
                        layer.floats.find(node.weight)->second, output));
    }
    if (!node.bias.empty()) {
      TYLLM_TRY(AddHalf(is_coded ? node.weight + std::string(layout.bias_key) : node.bias,
                        layer.floats.find(node.bias)->second, output));
    }
  }
  return output;
}

namespace {

Result<tensor::Matrix> ReadFloats(const format::SafetensorsFile& file, const std::string& name,
                                  std::int64_t columns) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) {
    return DataLoss(file.path().string() + " has no tensor '" + name + "'");
  }
  TYLLM_ASSIGN(std::vector<float> numbers, format::ToFloats(name, found->second));
  const auto size = static_cast<std::int64_t>(numbers.size());
  return tensor::Matrix(size / columns, columns, std::move(numbers));
}

Result<model::QuantizedMatrix> ReadCodes(const format::SafetensorsFile& file,
                                         const std::string& module,
                                         const model::LinearFormat& format,
                                         const model::LinearSize& size) {
  const model::LinearTraits traits{.group = size.group};
  model::LinearTensors tensors{};
  for (const model::PartSpec& part : format.parts(size, traits)) {
    const auto found = file.tensors().find(module + std::string(part.key));
    if (found != file.tensors().end()) {
      tensors[model::IndexOf(part.part)] = &found->second;
    } else if (part.required) {
      return DataLoss(file.path().string() + " has no tensor '" + module + std::string(part.key) +
                      "'");
    }
  }
  TYLLM_ASSIGN(model::QuantizedLinear opened,
               model::QuantizedLinear::Open(format, size, traits, tensors));
  return std::move(opened).ReadAll();
}

}  // namespace

Result<QuantizedLayer> ReadLayer(const graph::Block& block, const format::SafetensorsFile& file,
                                 model::CheckpointFormat format, std::int64_t group) {
  const model::LinearFormat& layout = model::LinearFormatOf(format);
  const auto columns = [&](graph::ValueId id) {
    return block.values[static_cast<std::size_t>(id)].columns;
  };
  QuantizedLayer layer;
  for (const graph::Node& node : block.nodes) {
    const bool is_linear = node.op == graph::Op::kLinear;
    const bool is_coded =
        is_linear && file.tensors().contains(node.weight + std::string(layout.weight_key));
    if (is_coded) {
      const model::LinearSize size{columns(node.output), columns(node.inputs.front()), group};
      TYLLM_ASSIGN(layer.linears[node.weight], ReadCodes(file, node.weight, layout, size));
    } else if (is_linear) {
      TYLLM_ASSIGN(layer.floats[node.weight],
                   ReadFloats(file, node.weight + ".weight", columns(node.inputs.front())));
    } else if (!node.weight.empty()) {
      TYLLM_ASSIGN(layer.floats[node.weight], ReadFloats(file, node.weight, 1));
      tensor::Matrix& vector = layer.floats[node.weight];
      vector.Reshape(1, vector.rows());
    }
    if (!node.bias.empty()) {
      const std::string name = is_coded ? node.weight + std::string(layout.bias_key) : node.bias;
      TYLLM_ASSIGN(layer.floats[node.bias], ReadFloats(file, name, columns(node.output)));
    }
  }
  return layer;
}

forward::BlockWeights WrittenWeights(const QuantizedLayer& layer, const LayerMachine& machine) {
  forward::BlockWeights weights;
  for (const auto& [name, matrix] : layer.floats) {
    tensor::Matrix written = matrix;
    const auto count = static_cast<std::size_t>(written.rows() * written.columns());
    for (float& number : std::span(written.data(), count)) {
      number = format::HalfToFloat(format::FloatToHalf(number));
    }
    weights[name] = machine.backend.Place(std::move(written));
  }
  for (const auto& [name, matrix] : layer.linears) {
    weights[name] = machine.kernels.Decode(matrix);
  }
  for (const auto& [name, packed] : layer.packed) {
    weights[name] = machine.kernels.DecodePacked(packed);
  }
  return weights;
}

}  // namespace tyllm::quant
