// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "common/wire/types.h"
#include "tyllm/v1/blobs.pb.h"

// tyllm/v1/blobs.proto <-> lists of blob ids; rules as in types.h. Single ids are in types.h, and
// data goes through untouched.
namespace tyllm::wire {

v1::FindMissingRequest FindMissingToProto(std::span<const BlobId> blobs);
Result<std::vector<BlobId>> FromProto(const v1::FindMissingRequest& request);

v1::FindMissingResponse MissingToProto(std::span<const BlobId> missing);
Result<std::vector<BlobId>> FromProto(const v1::FindMissingResponse& response);

}  // namespace tyllm::wire
