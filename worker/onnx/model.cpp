// SPDX-License-Identifier: Apache-2.0
#include "worker/onnx/model.h"

#include <set>

#include "worker/onnx/proto_writer.h"

namespace tyllm::onnx {
namespace {

constexpr std::int64_t kIrVersion = 8;

// AttributeProto.AttributeType.
constexpr std::int64_t kFloatAttribute = 1;
constexpr std::int64_t kIntAttribute = 2;
constexpr std::int64_t kStringAttribute = 3;
constexpr std::int64_t kIntsAttribute = 7;

ProtoWriter Entry(const std::string& key, const std::string& value) {
  ProtoWriter entry;
  entry.Bytes(1, key);
  entry.Bytes(2, value);
  return entry;
}

ProtoWriter TensorProto(const Tensor& tensor) {
  ProtoWriter proto;
  proto.Integers(1, tensor.shape);
  proto.Integer(2, static_cast<std::int64_t>(tensor.type));
  proto.Bytes(8, tensor.name);
  if (const auto* const bytes = std::get_if<std::string>(&tensor.data)) {
    proto.Bytes(9, *bytes);
    return proto;
  }
  const auto& external = std::get<External>(tensor.data);
  proto.Message(13, Entry("location", external.file));
  proto.Message(13, Entry("offset", std::to_string(external.offset)));
  proto.Message(13, Entry("length", std::to_string(external.bytes)));
  proto.Integer(14, 1);  // EXTERNAL
  return proto;
}

ProtoWriter AttributeProto(const std::string& name, const Attribute& attribute) {
  ProtoWriter proto;
  proto.Bytes(1, name);
  if (const auto* const number = std::get_if<std::int64_t>(&attribute)) {
    proto.Integer(3, *number);
    proto.Integer(20, kIntAttribute);
  } else if (const auto* const real = std::get_if<float>(&attribute)) {
    proto.Float(2, *real);
    proto.Integer(20, kFloatAttribute);
  } else if (const auto* const text = std::get_if<std::string>(&attribute)) {
    proto.Bytes(4, *text);
    proto.Integer(20, kStringAttribute);
  } else {
    proto.Integers(8, std::get<std::vector<std::int64_t>>(attribute));
    proto.Integer(20, kIntsAttribute);
  }
  return proto;
}

ProtoWriter NodeProto(const Node& node) {
  ProtoWriter proto;
  for (const std::string& input : node.inputs) {
    proto.Bytes(1, input);
  }
  for (const std::string& output : node.outputs) {
    proto.Bytes(2, output);
  }
  proto.Bytes(3, node.outputs.front());
  proto.Bytes(4, node.op);
  for (const auto& [name, attribute] : node.attributes) {
    proto.Message(5, AttributeProto(name, attribute));
  }
  if (!node.domain.empty()) {
    proto.Bytes(7, node.domain);
  }
  return proto;
}

ProtoWriter ValueProto(const Value& value) {
  ProtoWriter shape;
  for (const Dimension& dimension : value.shape) {
    ProtoWriter dim;
    if (const auto* const number = std::get_if<std::int64_t>(&dimension)) {
      dim.Integer(1, *number);
    } else {
      dim.Bytes(2, std::get<std::string>(dimension));
    }
    shape.Message(1, dim);
  }
  ProtoWriter tensor;
  tensor.Integer(1, static_cast<std::int64_t>(value.type));
  tensor.Message(2, shape);
  ProtoWriter type;
  type.Message(1, tensor);
  ProtoWriter proto;
  proto.Bytes(1, value.name);
  proto.Message(2, type);
  return proto;
}

ProtoWriter GraphProto(const Model& model) {
  ProtoWriter proto;
  for (const Node& node : model.nodes) {
    proto.Message(1, NodeProto(node));
  }
  proto.Bytes(2, model.name);
  for (const Tensor& tensor : model.initializers) {
    proto.Message(5, TensorProto(tensor));
  }
  for (const Value& input : model.inputs) {
    proto.Message(11, ValueProto(input));
  }
  for (const Value& output : model.outputs) {
    proto.Message(12, ValueProto(output));
  }
  return proto;
}

ProtoWriter OpsetProto(const std::string& domain, std::int64_t version) {
  ProtoWriter proto;
  proto.Bytes(1, domain);
  proto.Integer(2, version);
  return proto;
}

}  // namespace

std::int64_t SizeOf(Type type) {
  switch (type) {
    case Type::kUint8:
    case Type::kInt8:
    case Type::kBool:
      return 1;
    case Type::kFloat16:
      return 2;
    case Type::kFloat:
    case Type::kInt32:
      return 4;
    case Type::kInt64:
      return 8;
  }
  return 0;
}

std::string Serialize(const Model& model) {
  ProtoWriter proto;
  proto.Integer(1, kIrVersion);
  proto.Bytes(2, model.producer);
  proto.Bytes(3, model.producer_version);
  proto.Bytes(6, model.documentation);
  proto.Message(7, GraphProto(model));
  proto.Message(8, OpsetProto("", model.opset));
  for (const auto& [domain, version] : model.domains) {
    proto.Message(8, OpsetProto(domain, version));
  }
  for (const auto& [key, value] : model.metadata) {
    proto.Message(14, Entry(key, value));
  }
  return proto.text();
}

Status CheckOrder(const Model& model) {
  std::set<std::string, std::less<>> made;
  const auto add = [&](const std::string& name) {
    return made.insert(name).second ? OkStatus()
                                    : Internal("ONNX value " + name + " is made twice");
  };
  for (const Tensor& tensor : model.initializers) {
    TYLLM_TRY(add(tensor.name));
  }
  for (const Value& input : model.inputs) {
    TYLLM_TRY(add(input.name));
  }
  for (const Node& node : model.nodes) {
    for (const std::string& input : node.inputs) {
      if (!made.contains(input)) {
        return Internal("ONNX node " + node.op + " reads " + input + " before it is made");
      }
    }
    for (const std::string& output : node.outputs) {
      TYLLM_TRY(add(output));
    }
  }
  for (const Value& output : model.outputs) {
    if (!made.contains(output.name)) {
      return Internal("ONNX output " + output.name + " is not made by any node");
    }
  }
  return OkStatus();
}

Status WriteModel(FileSystem& files, const Path& path, const Model& model) {
  TYLLM_TRY(CheckOrder(model));
  return WriteFileAtomically(files, path, Serialize(model));
}

}  // namespace tyllm::onnx
