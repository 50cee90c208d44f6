// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/onnx/graph_nodes.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace tyllm::compile {
namespace {

template <typename T>
std::string BytesOf(const T& value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

}  // namespace

std::string GraphNodes::Make(const std::string& op, std::vector<std::string> inputs,
                             std::map<std::string, onnx::Attribute> attributes,
                             const std::string& name, const std::string& domain) {
  std::string output = name.empty() ? op + "_" + std::to_string(next_++) : name;
  model_.nodes.push_back({op, std::move(inputs), {output}, std::move(attributes), domain});
  return output;
}

std::vector<std::string> GraphNodes::Split(const std::string& value, std::int64_t axis,
                                           std::int64_t parts) {
  const std::string base = "Split_" + std::to_string(next_++);
  std::vector<std::string> outputs;
  for (std::int64_t i = 0; i < parts; ++i) {
    outputs.push_back(base + "_" + std::to_string(i));
  }
  model_.nodes.push_back({"Split", {value}, outputs, {{"axis", axis}}, {}});
  return outputs;
}

std::string GraphNodes::Constant(const std::string& name, onnx::Type type,
                                 std::vector<std::int64_t> shape, std::string bytes) {
  const bool known = std::any_of(model_.initializers.begin(), model_.initializers.end(),
                                 [&](const onnx::Tensor& t) { return t.name == name; });
  if (!known) {
    model_.initializers.push_back({name, type, std::move(shape), std::move(bytes)});
  }
  return name;
}

std::string GraphNodes::Integers(const std::vector<std::int64_t>& values) {
  std::string name = "ints";
  std::string bytes;
  for (const std::int64_t value : values) {
    name += "_" + std::to_string(value);
    bytes += BytesOf(value);
  }
  return Constant(name, onnx::Type::kInt64, {std::ssize(values)}, std::move(bytes));
}

std::string GraphNodes::Integer(std::int64_t value) {
  return Constant("int_" + std::to_string(value), onnx::Type::kInt64, {}, BytesOf(value));
}

std::string GraphNodes::Float(float value) {
  char name[40];
  std::snprintf(name, sizeof(name), "float_%a", static_cast<double>(value));
  return Constant(name, onnx::Type::kFloat, {}, BytesOf(value));
}

std::string GraphNodes::Byte(std::uint8_t value) {
  return Constant("byte_" + std::to_string(value), onnx::Type::kUint8, {}, BytesOf(value));
}

std::string GraphNodes::RmsNorm(const std::string& x, const std::string& weight, float epsilon) {
  const std::string mean =
      Make("ReduceMean", {Multiply(x, x)},
           {{"axes", std::vector<std::int64_t>{-1}}, {"keepdims", std::int64_t{1}}});
  const std::string size = Make("Sqrt", {Add(mean, Float(epsilon))});
  return Multiply(Make("Div", {x, size}), weight);
}

std::string GraphNodes::Dequantize(const std::string& weight, std::int64_t rows,
                                   std::int64_t columns, std::int64_t group) {
  const std::string bytes = weight + ".q";
  const std::string high =
      Make("BitShift", {bytes, Byte(4)}, {{"direction", std::string("RIGHT")}});
  const std::string in_place =
      Make("BitShift", {high, Byte(4)}, {{"direction", std::string("LEFT")}});
  const std::string low = Make("Sub", {bytes, in_place});
  const std::string both = Concat({Unsqueeze(low, -1), Unsqueeze(high, -1)}, -1);
  const std::string codes = Cast(Reshape(both, {rows, columns / group, group}), onnx::Type::kFloat);
  const std::string steps = Make("Sub", {codes, Cast(weight + ".zero", onnx::Type::kFloat)});
  return Reshape(Multiply(steps, Cast(weight + ".scale", onnx::Type::kFloat)), {rows, columns});
}

}  // namespace tyllm::compile
