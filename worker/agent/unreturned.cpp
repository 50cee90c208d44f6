// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/unreturned.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "common/wire/workers.h"

namespace tyllm::agent {

Status KeepUnreturned(const Path& file, const std::string& worker,
                      std::vector<domain::HeldAttempt> held) {
  domain::SyncRequest request;
  request.from.worker = worker;
  for (domain::HeldAttempt& one : held) {
    if (std::holds_alternative<domain::Running>(one.outcome)) {
      one.outcome = domain::Stopped{};
    }
    one.log_bytes = 0;  // the server would wait for what was not sent
    request.held.push_back(std::move(one));
  }
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(wire::ToProto(request), &text).ok()) {
    return Internal(file.string() + ": attempts that have no JSON");
  }
  return WriteFileAtomically(LocalFileSystem(), file, text + "\n");
}

std::vector<domain::HeldAttempt> ReadUnreturned(const Path& file, const std::string& worker) {
  const auto text = LocalFileSystem().Read(file);
  v1::SyncRequest message;
  if (!text.ok() || !google::protobuf::util::JsonStringToMessage(*text, &message).ok()) {
    return {};
  }
  auto request = wire::FromProto(message);
  if (!request.ok() || request->from.worker != worker) {
    return {};
  }
  return std::move(request->held);
}

}  // namespace tyllm::agent
