// SPDX-License-Identifier: Apache-2.0
#include "common/base/version.h"

namespace tyllm {

std::string_view Version() {
  return TYLLM_VERSION;
}

}  // namespace tyllm
