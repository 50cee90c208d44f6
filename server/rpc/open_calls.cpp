// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/open_calls.h"

#include <utility>

namespace tyllm::server::rpc {

OpenCalls::One::One(std::shared_ptr<OpenCalls> all, std::string_view method)
    : all_(std::move(all)), method_(method) {
  auto open = all_->open_.Lock();
  ++(*open)[method_];
}

OpenCalls::One::~One() {
  auto open = all_->open_.Lock();
  if (--(*open)[method_] == 0) {
    open->erase(method_);
  }
}

std::string OpenCalls::ToString() {
  std::string text;
  auto open = open_.Lock();
  for (const auto& [method, calls] : *open) {
    text += (text.empty() ? "" : ", ") + std::string(method) + " (" + std::to_string(calls) + ")";
  }
  return text;
}

}  // namespace tyllm::server::rpc
