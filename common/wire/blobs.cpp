// SPDX-License-Identifier: Apache-2.0
#include "common/wire/blobs.h"

namespace tyllm::wire {

namespace {

using ProtoIds = google::protobuf::RepeatedPtrField<v1::BlobId>;

void AddAll(std::span<const BlobId> ids, ProtoIds& protos) {
  for (const BlobId& id : ids) {
    *protos.Add() = ToProto(id);
  }
}

Result<std::vector<BlobId>> ReadAll(const ProtoIds& protos, std::string_view field) {
  std::vector<BlobId> ids;
  for (const v1::BlobId& proto : protos) {
    TYLLM_ASSIGN(const BlobId id, FromProto(proto).Annotate(field));
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

v1::FindMissingRequest FindMissingToProto(std::span<const BlobId> blobs) {
  v1::FindMissingRequest proto;
  AddAll(blobs, *proto.mutable_blobs());
  return proto;
}

Result<std::vector<BlobId>> FromProto(const v1::FindMissingRequest& request) {
  return ReadAll(request.blobs(), "blobs");
}

v1::FindMissingResponse MissingToProto(std::span<const BlobId> missing) {
  v1::FindMissingResponse proto;
  AddAll(missing, *proto.mutable_missing());
  return proto;
}

Result<std::vector<BlobId>> FromProto(const v1::FindMissingResponse& response) {
  return ReadAll(response.missing(), "missing");
}

}  // namespace tyllm::wire
