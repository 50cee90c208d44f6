// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/file_system.h"

namespace tyllm::wire {

/// When the certificates of a PEM file (a certificate with its chain) are no longer all valid: the
/// earliest end among them, in seconds since 1970.
Result<std::int64_t> CertificateEnd(const Path& file);

}  // namespace tyllm::wire
