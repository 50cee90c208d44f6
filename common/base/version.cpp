// SPDX-License-Identifier: Apache-2.0
#include "common/base/version.h"

#include "source_digest.h"  // generated

namespace tyllm {

std::string_view Version() {
  return TYLLM_VERSION "+" TYLLM_SOURCES;
}

}  // namespace tyllm
