// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "common/domain/job.h"
#include "common/format/tree.h"

namespace tyllm::domain {

/// Folder name of a job's output: "<name>-AMTC-AWQ" for what quantize writes, "<name>-AWQ" for what
/// convert and a pipeline write, the output's own name otherwise. Around the "<N>die" folder of an
/// artifact it is what the board's SDK expects: "<name>-AOT_<prefill>_<max_kv>", or, of a model
/// that sees, "<name>-AOT_<W>x<H>_<max_kv>_<N>die_<modality>_<vm remap><lm remap>" with the
/// physical number of each die.
std::string OutputFolderName(const JobSpec& spec, std::string_view output, bool sees);

/// Whether the tree of an artifact has programs of a visual tower.
bool SeesImages(const format::Tree& artifact);

}  // namespace tyllm::domain
