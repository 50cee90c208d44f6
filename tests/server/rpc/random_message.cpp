// SPDX-License-Identifier: Apache-2.0
#include "tests/server/rpc/random_message.h"

#include <array>
#include <limits>

namespace tyllm::testing {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kDeepest = 6;

}  // namespace

std::int64_t RandomMessages::Below(std::int64_t limit) {
  return std::uniform_int_distribution<std::int64_t>(0, limit - 1)(random_);
}

std::string RandomMessages::Bytes(std::int64_t most) {
  std::string bytes(static_cast<std::size_t>(Below(most + 1)), '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(Below(256));
  }
  return bytes;
}

std::int64_t RandomMessages::Number() {
  constexpr std::array<std::int64_t, 10> kEdges = {0,
                                                   1,
                                                   -1,
                                                   2,
                                                   255,
                                                   65'536,
                                                   std::numeric_limits<std::int32_t>::max(),
                                                   std::numeric_limits<std::int32_t>::min(),
                                                   std::numeric_limits<std::int64_t>::max(),
                                                   std::numeric_limits<std::int64_t>::min()};
  return Below(2) == 0 ? Below(10) : kEdges[static_cast<std::size_t>(Below(kEdges.size()))];
}

std::string RandomMessages::Text(const Field& field) {
  const std::string& name = field.name();
  if (name == "sha256" && Below(8) != 0) {
    return tree_.sha256.Hex();
  }
  if (name == "job_id" && Below(8) != 0) {
    return "j" + std::to_string(Below(12));
  }
  if ((name == "task_id" || name == "stop") && Below(8) != 0) {
    return "t" + std::to_string(Below(30));
  }
  if (name == "request_id" && Below(8) != 0) {
    return "r" + std::to_string(Below(40));
  }
  if ((name == "worker" || name == "session" || name == "project") && Below(8) != 0) {
    return name.substr(0, 1) + std::to_string(Below(3));
  }
  constexpr std::array kTexts = {"",         "x",         "tiny", "default", "label.a", "0",
                                 "-1",       "../../etc", "cpus", "dies",    "a b",     "\n",
                                 "\xc3\xa9", "SELECT 1",  "%s%n", "priority"};
  if (Below(20) == 0) {
    return std::string(static_cast<std::size_t>(Below(5000)), 'y');
  }
  return kTexts[static_cast<std::size_t>(Below(kTexts.size()))];
}

void RandomMessages::Set(Message& message, const Field& field, bool add, int depth) {
  const auto& reflection = *message.GetReflection();
  const auto put = [&](auto set_one, auto add_one, auto value) {
    add ? (reflection.*add_one)(&message, &field, value)
        : (reflection.*set_one)(&message, &field, value);
  };
  using R = google::protobuf::Reflection;
  switch (field.cpp_type()) {
    case Field::CPPTYPE_INT32:
      put(&R::SetInt32, &R::AddInt32, static_cast<std::int32_t>(Number()));
      break;
    case Field::CPPTYPE_INT64:
      put(&R::SetInt64, &R::AddInt64, Number());
      break;
    case Field::CPPTYPE_UINT32:
      put(&R::SetUInt32, &R::AddUInt32, static_cast<std::uint32_t>(Number()));
      break;
    case Field::CPPTYPE_UINT64: {
      const bool size = field.name() == "size" && Below(8) != 0;
      put(&R::SetUInt64, &R::AddUInt64, size ? tree_.size : static_cast<std::uint64_t>(Number()));
      break;
    }
    case Field::CPPTYPE_DOUBLE: {
      constexpr std::array kReals = {0.0,
                                     1.0,
                                     -1.0,
                                     1e308,
                                     1e-308,
                                     std::numeric_limits<double>::infinity(),
                                     std::numeric_limits<double>::quiet_NaN()};
      put(&R::SetDouble, &R::AddDouble, kReals[static_cast<std::size_t>(Below(kReals.size()))]);
      break;
    }
    case Field::CPPTYPE_FLOAT:
      put(&R::SetFloat, &R::AddFloat, static_cast<float>(Number()));
      break;
    case Field::CPPTYPE_BOOL:
      put(&R::SetBool, &R::AddBool, Below(2) == 0);
      break;
    case Field::CPPTYPE_ENUM:
      put(&R::SetEnumValue, &R::AddEnumValue,
          Below(8) == 0 ? static_cast<int>(Number())
                        : static_cast<int>(Below(field.enum_type()->value_count())));
      break;
    case Field::CPPTYPE_STRING: {
      const std::string value =
          field.type() == FieldDescriptor::TYPE_BYTES ? Bytes(300) : Text(field);
      add ? reflection.AddString(&message, &field, value)
          : reflection.SetString(&message, &field, value);
      break;
    }
    case Field::CPPTYPE_MESSAGE:
      Fill(add ? *reflection.AddMessage(&message, &field)
               : *reflection.MutableMessage(&message, &field),
           depth + 1);
      break;
  }
}

void RandomMessages::Fill(Message& message, int depth) {
  const auto& descriptor = *message.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    const bool deep = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (Below(4) == 0 || (deep && depth >= kDeepest)) {
      continue;
    }
    if (!field.is_repeated()) {
      Set(message, field, false, depth);
      continue;
    }
    for (std::int64_t count = Below(3); count > 0; --count) {
      Set(message, field, true, depth);
    }
  }
}

}  // namespace tyllm::testing
