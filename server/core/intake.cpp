// SPDX-License-Identifier: Apache-2.0
#include "server/core/intake.h"

namespace tyllm::server::core {

void Intake::Set(const Status& health) {
  auto known = health_.Lock();
  *known = health;
}

Status Intake::Check() const {
  auto known = health_.Lock();
  const Status& health = *known;
  if (health.ok() || health.code() == StatusCode::kUnavailable) {
    return health;
  }
  return ResourceExhausted("the server takes no new jobs and no uploads now: " + health.message());
}

}  // namespace tyllm::server::core
