// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/guarded.h"
#include "common/base/status.h"

namespace tyllm::server::core {

/// Whether the server takes what is new: jobs and bytes of blobs. What workers report of their
/// attempts it takes always. Threads: any.
class Intake {
 public:
  /// OK: it is well. Else why it is not (web::HealthOf).
  void Set(const Status& health);

  /// kResourceExhausted while it takes nothing: with what is wrong and what to do.
  Status Check() const;

 private:
  mutable Guarded<Status> health_;
};

}  // namespace tyllm::server::core
