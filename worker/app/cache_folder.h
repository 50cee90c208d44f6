// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"

namespace tyllm::app {

/// Where `tyllm` keeps what it can make again: $TYLLM_CACHE, $XDG_CACHE_HOME/tyllm or
/// ~/.cache/tyllm; a folder of the temporary directory where there is no home.
Path CacheFolder();

}  // namespace tyllm::app
