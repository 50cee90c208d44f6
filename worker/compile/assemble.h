// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/compile/die_records.h"
#include "worker/compile/preparation.h"

namespace tyllm::compile {

/// Adds what an artifact has besides its dies' files, which are below `root` already:
/// buffer_config.json, the model's passenger files, empty.bin, the embedding table, goldens, and at
/// last the manifest. What else lies there is removed. A die file that is missing, or is not what
/// its record says, is kFailedPrecondition naming it. Reports stage "assemble", in files. `scratch`
/// lies below `root` and is left out of the manifest.
Status AssembleInto(FileSystem& files, const Preparation& preparation, DieDigests digests, int jobs,
                    const Path& root, const Path& scratch, domain::ProgressSink& progress);

/// A copy that gets its name when it is complete; folders are made as needed.
Status CopyFile(FileSystem& files, const Path& from, const Path& to);

/// The tokenizer files of folder `from`, which may be none, over those of `root`.
Status CopyTokenizer(FileSystem& files, const Path& from, const Path& root);

/// Brings the "batch_1" files of a folder that CompileDies made to `root`: hard links where that
/// works, copies elsewhere.
Status Adopt(FileSystem& files, const Path& part, const Path& root);

}  // namespace tyllm::compile
