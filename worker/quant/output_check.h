// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "worker/quant/part_files.h"

namespace tyllm::quant {

/// Opens `directory` as any reader would and compares what it holds with what was computed: every
/// tensor's bytes, the codes, zero points and scales of every linear after unpacking, and that the
/// files in `passengers` are there. The error names the first that differs.
Status CheckOutput(const PartFiles& parts, const Path& directory, std::span<const Path> passengers,
                   tensor::TaskLanes& lanes);

}  // namespace tyllm::quant
