// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <vector>

#include "common/domain/checkpoint.h"
#include "common/domain/matching.h"
#include "common/domain/pending.h"
#include "common/wire/types.h"
#include "tyllm/v1/types.pb.h"

// What is said of requirements, waiting and partial work (tyllm/v1/types.proto) <-> domain; rules
// as in types.h.
namespace tyllm::wire {

v1::Requirement ToProto(const domain::Requirement& requirement);
/// A rule that is absent means exact.
Result<domain::Requirement> FromProto(const v1::Requirement& requirement);

v1::Shortfall ToProto(const domain::Shortfall& shortfall);
Result<domain::Shortfall> FromProto(const v1::Shortfall& shortfall);

v1::Resources ToProto(const domain::Resources& resources);
domain::Resources FromProto(const v1::Resources& resources);

v1::Checkpoint ToProto(const domain::Checkpoint& checkpoint);
Result<domain::Checkpoint> FromProto(const v1::Checkpoint& checkpoint);

v1::Pending ToProto(const domain::Pending& pending);
Result<domain::Pending> FromProto(const v1::Pending& pending);

/// Repeated messages.
template <typename Proto, typename T>
void AddAll(const std::vector<T>& values, google::protobuf::RepeatedPtrField<Proto>& to) {
  for (const T& value : values) {
    *to.Add() = ToProto(value);
  }
}

/// Back; `field` names them in the error.
template <typename T, typename Proto>
Result<std::vector<T>> ReadAll(const google::protobuf::RepeatedPtrField<Proto>& from,
                               std::string_view field) {
  std::vector<T> values;
  for (const Proto& proto : from) {
    const Result<T> value = FromProto(proto);
    TYLLM_TRY(value.status().Annotate(field));
    values.push_back(*value);
  }
  return values;
}

}  // namespace tyllm::wire
