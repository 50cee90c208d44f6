// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <array>
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>

#include "common/base/result.h"
#include "common/format/json.h"
#include "common/wire/enums.h"
#include "common/wire/text.h"

namespace tyllm::wire {

// A struct of options has one member table (common/format/json.h), which is also how it goes to and
// from its message: a field has the name of the member's key. Enumerations as in enums.h. A field
// with presence that is absent, an enumeration that is UNSPECIFIED and an empty list leave the
// member's default; so a field whose default is not its type's zero must be `optional`. A test
// compares every table with its message.

namespace internal {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

struct Field {
  const Reflection& reflection;
  const FieldDescriptor* const field;
};

inline const FieldDescriptor* FindField(const Descriptor& descriptor, std::string_view key) {
  const FieldDescriptor* const field = descriptor.FindFieldByName(std::string(key));
  TYLLM_CHECK(field != nullptr);
  return field;
}

/// Calls `use(row, field)` for every row of T's member table. A struct has one message: its fields
/// are looked for by name once.
template <format::HasMembers T, typename Use>
void ForEachField(const Message& message, Use use) {
  const auto visit = [&](const auto&... row) {
    using Fields = std::array<const FieldDescriptor*, sizeof...(row)>;
    static const Descriptor& descriptor = *message.GetDescriptor();
    static const Fields fields = {FindField(descriptor, row.key)...};
    TYLLM_CHECK(message.GetDescriptor() == &descriptor);
    const Reflection& reflection = *message.GetReflection();
    std::size_t next = 0;
    (use(row, Field{reflection, fields[next++]}), ...);
  };
  std::apply(visit, format::Members<T>::kTable);
}

template <typename T>
void SetField(const Field& at, const T& value, Message& message);
template <typename T>
Status ReadField(const Field& at, const std::string& what, const Message& message, T& value);

inline void Append(const Field& at, const std::string& value, Message& message) {
  at.reflection.AddString(&message, at.field, ValidUtf8(value));
}

inline void Append(const Field& at, std::int64_t value, Message& message) {
  at.reflection.AddInt64(&message, at.field, value);
}

inline void ReadItem(const Field& at, const Message& message, int index, std::string& value) {
  value = at.reflection.GetRepeatedString(message, at.field, index);
}

inline void ReadItem(const Field& at, const Message& message, int index, std::int64_t& value) {
  value = at.reflection.GetRepeatedInt64(message, at.field, index);
}

}  // namespace internal

/// All members of `value` into their fields of `message`.
template <format::HasMembers T>
void WriteMembers(const T& value, google::protobuf::Message& message) {
  internal::ForEachField<T>(message, [&](const auto& row, const internal::Field& field) {
    internal::SetField(field, value.*(row.member), message);
  });
}

/// The fields of `message` into their members of `value`, which holds the defaults.
/// kInvalidArgument names the field, after `prefix`.
template <format::HasMembers T>
Status ReadMembers(const google::protobuf::Message& message, const std::string& prefix, T& value) {
  Status status;
  internal::ForEachField<T>(message, [&](const auto& row, const internal::Field& field) {
    if (status.ok()) {
      status =
          internal::ReadField(field, prefix + std::string(row.key), message, value.*(row.member));
    }
  });
  return status;
}

namespace internal {

template <typename T>
void SetField(const Field& at, const T& value, Message& message) {
  if constexpr (format::NamedEnum<T>) {
    at.reflection.SetEnumValue(&message, at.field, EnumToProto<int>(value));
  } else if constexpr (format::HasMembers<T>) {
    WriteMembers(value, *at.reflection.MutableMessage(&message, at.field));
  } else if constexpr (format::internal::IsOptional<T>::value) {
    if (value) {
      SetField(at, *value, message);
    }
  } else if constexpr (format::internal::IsVector<T>::value) {
    for (const auto& item : value) {
      Append(at, item, message);
    }
  } else if constexpr (std::is_same_v<T, bool>) {
    at.reflection.SetBool(&message, at.field, value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    at.reflection.SetString(&message, at.field, ValidUtf8(value));
  } else if constexpr (std::is_same_v<T, double>) {
    at.reflection.SetDouble(&message, at.field, value);
  } else {
    static_assert(std::is_same_v<T, std::int64_t>, "teach it the type");
    at.reflection.SetInt64(&message, at.field, value);
  }
}

template <typename T>
Status ReadField(const Field& at, const std::string& what, const Message& message, T& value) {
  if constexpr (format::NamedEnum<T>) {
    TYLLM_ASSIGN(value,
                 EnumFromProtoOr(at.reflection.GetEnumValue(message, at.field), value, what));
  } else if constexpr (format::HasMembers<T>) {
    return ReadMembers(at.reflection.GetMessage(message, at.field), what + ".", value);
  } else if constexpr (format::internal::IsVector<T>::value) {
    const int count = at.reflection.FieldSize(message, at.field);
    if (count > 0) {
      value.resize(static_cast<std::size_t>(count));
    }
    for (int i = 0; i < count; ++i) {
      ReadItem(at, message, i, value[static_cast<std::size_t>(i)]);
    }
  } else if (at.field->has_presence() && !at.reflection.HasField(message, at.field)) {
    return OkStatus();  // the default stays
  } else if constexpr (format::internal::IsOptional<T>::value) {
    return ReadField(at, what, message, value.emplace());
  } else if constexpr (std::is_same_v<T, bool>) {
    value = at.reflection.GetBool(message, at.field);
  } else if constexpr (std::is_same_v<T, std::string>) {
    value = at.reflection.GetString(message, at.field);
  } else if constexpr (std::is_same_v<T, double>) {
    value = at.reflection.GetDouble(message, at.field);
  } else {
    static_assert(std::is_same_v<T, std::int64_t>, "teach it the type");
    value = at.reflection.GetInt64(message, at.field);
  }
  return OkStatus();
}

}  // namespace internal

}  // namespace tyllm::wire
