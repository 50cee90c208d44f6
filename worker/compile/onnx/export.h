// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/base/file_system.h"
#include "common/domain/progress.h"

namespace tyllm::compile {

/// Writes the text model of a compiled directory as ONNX into the folder `out`: llm_die<d>.onnx and
/// llm_die<d>.onnx.data for each die (docs/formats/onnx.md). Files that exist are kAlreadyExists.
/// Gives the models' paths. Reports stage "onnx", in dies.
Result<std::vector<Path>> ExportOnnx(FileSystem& files, const Path& directory, const Path& out,
                                     domain::ProgressSink& progress);

}  // namespace tyllm::compile
