// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "common/base/file_system.h"

// ONNX models as data (https://onnx.ai/onnx/repo-docs/IR.html), as far as exports need them. Large
// tensors lie in a file of their own beside the model: protobuf's messages end at 2 GB.
namespace tyllm::onnx {

/// TensorProto.DataType.
enum class Type : std::int32_t {
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10
};

/// Bytes of an element.
std::int64_t SizeOf(Type type);

/// A number, or the name of one that callers choose ("tokens").
using Dimension = std::variant<std::int64_t, std::string>;

/// An input or output.
struct Value {
  std::string name;
  Type type = Type::kFloat;
  std::vector<Dimension> shape;
};

/// Where a tensor's bytes are in the data file.
struct External {
  std::string file;  ///< relative to the model
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// A constant: its bytes, little endian, or where they are.
struct Tensor {
  std::string name;
  Type type = Type::kFloat;
  std::vector<std::int64_t> shape;
  std::variant<std::string, External> data;
};

using Attribute = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>>;

struct Node {
  std::string op;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, Attribute> attributes;
  std::string domain;  ///< empty: ONNX's own
};

struct Model {
  std::string name;
  std::string producer;
  std::string producer_version;
  std::string documentation;
  std::int64_t opset = 17;
  /// Version of each further domain that nodes are of.
  std::map<std::string, std::int64_t> domains;
  std::map<std::string, std::string> metadata;
  std::vector<Tensor> initializers;
  std::vector<Node> nodes;  ///< each after those whose outputs it reads
  std::vector<Value> inputs;
  std::vector<Value> outputs;
};

/// The model as a ModelProto. Equal models give equal bytes.
std::string Serialize(const Model& model);

/// Checks that every value is made before it is read and only once, and that outputs exist:
/// kInternal names the node.
Status CheckOrder(const Model& model);

/// Serialize into a file that gets its name when it is complete.
Status WriteModel(FileSystem& files, const Path& path, const Model& model);

}  // namespace tyllm::onnx
