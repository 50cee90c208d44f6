// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/status.h"

namespace tyllm::server::store {

/// Makes durable what another thread has committed. One thread.
class LogSync {
 public:
  virtual ~LogSync() = default;
  /// OK: whatever was committed before the call is durable. After an error nobody knows what is.
  virtual Status Sync() = 0;
};

}  // namespace tyllm::server::store
