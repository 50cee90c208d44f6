// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/onnx/model.h"

namespace tyllm::compile {

/// Puts nodes into an ONNX model; every call gives the name of what it made. Small constants are
/// made once each.
class GraphNodes {
 public:
  explicit GraphNodes(onnx::Model& model) : model_(model) {}

  /// One output, called `name` or, where that is empty, numbered.
  std::string Make(const std::string& op, std::vector<std::string> inputs,
                   std::map<std::string, onnx::Attribute> attributes = {},
                   const std::string& name = {}, const std::string& domain = {});
  std::vector<std::string> Split(const std::string& value, std::int64_t axis, std::int64_t parts);

  std::string Integers(const std::vector<std::int64_t>& values);
  std::string Integer(std::int64_t value);  ///< a scalar
  std::string Float(float value);           ///< a scalar
  std::string Byte(std::uint8_t value);     ///< a scalar

  std::string Add(const std::string& a, const std::string& b) { return Make("Add", {a, b}); }

  std::string Multiply(const std::string& a, const std::string& b) { return Make("Mul", {a, b}); }

  std::string Cast(const std::string& value, onnx::Type to) {
    return Make("Cast", {value}, {{"to", static_cast<std::int64_t>(to)}});
  }

  std::string Reshape(const std::string& value, const std::vector<std::int64_t>& shape) {
    return Make("Reshape", {value, Integers(shape)});
  }

  std::string Transpose(const std::string& value, std::vector<std::int64_t> order) {
    return Make("Transpose", {value}, {{"perm", std::move(order)}});
  }

  std::string Unsqueeze(const std::string& value, std::int64_t axis) {
    return Make("Unsqueeze", {value, Integers({axis})});
  }

  std::string Concat(std::vector<std::string> values, std::int64_t axis) {
    return Make("Concat", std::move(values), {{"axis", axis}});
  }

  std::string Gather(const std::string& table, const std::string& indices, std::int64_t axis) {
    return Make("Gather", {table, indices}, {{"axis", axis}});
  }

  /// x / sqrt(mean(x * x) + epsilon) * weight over the last axis.
  std::string RmsNorm(const std::string& x, const std::string& weight, float epsilon);
  /// A matrix [out, in] of 4-bit codes (WeightTensors) in float32.
  std::string Dequantize(const std::string& weight, std::int64_t rows, std::int64_t columns,
                         std::int64_t group);

 private:
  std::string Constant(const std::string& name, onnx::Type type, std::vector<std::int64_t> shape,
                       std::string bytes);

  onnx::Model& model_;
  std::int64_t next_ = 0;
};

}  // namespace tyllm::compile
