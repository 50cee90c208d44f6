// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/layer_output.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "common/format/float16.h"
#include "worker/model/linear_formats.h"
#include "worker/model/quantized_linear.h"
#include "worker/quant/half_tensors.h"

namespace tyllm::quant {

namespace {

Status CheckScales(const std::string& module, const model::QuantizedMatrix& matrix) {
  for (std::size_t i = 0; i < matrix.scale.size(); ++i) {
    const float scale = format::HalfToFloat(matrix.scale[i]);
    if (!std::isfinite(scale) || !(scale > 0.0F)) {
      const auto at = static_cast<std::int64_t>(i);
      return Internal("linear layer '" + module + "' got the scale " + std::to_string(scale) +
                      " in row " + std::to_string(at / matrix.groups()) + ", group " +
                      std::to_string(at % matrix.groups()) + ", expected a positive number");
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

/// One linear layer, packed.
struct PackedLinear {
  std::vector<model::PackedPart> parts;
  std::string codes;
};

Result<PackedLinear> Pack(const std::string& module, const model::QuantizedMatrix& matrix,
                          const model::LinearFormat& format) {
  TYLLM_TRY(CheckScales(module, matrix));
  PackedLinear packed;
  TYLLM_ASSIGN(packed.parts, format.pack(matrix));
  packed.codes = DigestOfCodes(matrix);
  return packed;
}

}  // namespace

std::string DigestOfCodes(const model::QuantizedMatrix& matrix) {
  Sha256Stream stream;
  stream.Update(std::as_bytes(std::span(matrix.q)));
  stream.Update(std::as_bytes(std::span(matrix.zero)));
  stream.Update(std::as_bytes(std::span(matrix.scale)));
  return stream.Finish().Hex();
}

Result<LayerOutput> PackLayer(const graph::Block& block, const QuantizedLayer& layer,
                              model::CheckpointFormat format, tensor::TaskLanes& lanes) {
  const model::LinearFormat& layout = model::LinearFormatOf(format);
  std::vector<std::pair<const std::string*, const model::QuantizedMatrix*>> linears;
  for (const auto& [module, matrix] : layer.linears) {
    linears.emplace_back(&module, &matrix);
  }
  std::vector<Result<PackedLinear>> packed(linears.size(), PackedLinear{});
  lanes.ForEach(std::ssize(linears), [&](std::int64_t task, std::vector<float>&) {
    const auto& [module, matrix] = linears[static_cast<std::size_t>(task)];
    packed[static_cast<std::size_t>(task)] = Pack(*module, *matrix, layout);
  });
  LayerOutput output;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    TYLLM_ASSIGN(PackedLinear linear, std::move(packed[i]));
    const std::string& module = *linears[i].first;
    for (model::PackedPart& part : linear.parts) {
      output.tensors.push_back({module + std::string(part.key), std::move(part.bytes)});
    }
    output.codes[module] = std::move(linear.codes);
  }
  for (const graph::Node& node : block.nodes) {
    const bool is_coded = layer.linears.contains(node.weight);
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
  return weights;
}

}  // namespace tyllm::quant
