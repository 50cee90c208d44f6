// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "common/base/digest.h"
#include "common/domain/failure.h"
#include "common/domain/ids.h"
#include "common/domain/job.h"
#include "common/domain/progress.h"
#include "tyllm/v1/types.pb.h"

// tyllm/v1/types.proto <-> domain. ToProto never fails: texts that are not UTF-8 are repaired.
// FromProto checks everything that a type promises (ids, digests, known enumerators) and names the
// field; whether option values make sense is domain::Check's to say.
namespace tyllm::wire {

v1::BlobId ToProto(const BlobId& id);
Result<BlobId> FromProto(const v1::BlobId& id);

v1::QuantizeOptions ToProto(const domain::QuantizeOptions& options);
Result<domain::QuantizeOptions> FromProto(const v1::QuantizeOptions& options);

v1::ConvertOptions ToProto(const domain::ConvertOptions& options);
Result<domain::ConvertOptions> FromProto(const v1::ConvertOptions& options);

v1::EvaluateOptions ToProto(const domain::EvaluateOptions& options);
Result<domain::EvaluateOptions> FromProto(const v1::EvaluateOptions& options);

v1::CompileOptions ToProto(const domain::CompileOptions& options);
Result<domain::CompileOptions> FromProto(const v1::CompileOptions& options);

v1::TaskSpec ToProto(const domain::TaskSpec& spec);
Result<domain::TaskSpec> FromProto(const v1::TaskSpec& spec);

v1::Failure ToProto(const domain::Failure& failure);
Result<domain::Failure> FromProto(const v1::Failure& failure);

v1::Progress ToProto(const domain::Progress& progress);
domain::Progress FromProto(const v1::Progress& progress);

/// "j42" or "t7" of a request's field.
template <typename Id>
Result<Id> IdFromProto(const std::string& text, std::string_view field) {
  return Id::Parse(text).Annotate(field);
}

}  // namespace tyllm::wire
