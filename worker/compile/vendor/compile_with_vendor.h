// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/compile/compile.h"
#include "worker/compile/vendor/vendor.h"

namespace tyllm::compile {

/// The request through the vendor's toolchain into `out`/<N>die: its tree is checked, completed
/// with the model's own files, and described by a manifest that says what it is. Nothing is
/// resumed: what an interrupted run left is thrown away.
Result<CompileSummary> CompileWithVendor(FileSystem& files, const CompileRequest& request,
                                         const VendorSettings& settings, const Path& out,
                                         const OnVendorLine& on_line,
                                         domain::ProgressSink& progress);

}  // namespace tyllm::compile
