// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/ending.h"

namespace tyllm::server::sched {

using domain::Ending;
using domain::kEndingNames;

}  // namespace tyllm::server::sched
