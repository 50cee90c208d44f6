// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/domain/progress.h"
#include "worker/compile/preparation.h"

// The `tytvm` target: the vendor's own toolchain, driven through its Python interface in a process
// or a container. What it makes runs on the silicon and not on the die simulator.
namespace tyllm::compile {

/// How the vendor's Python is started; arguments are added. {model}, {out} and {scratch} stand for
/// the folders that it must see, e.g. for `docker run -v {model}:{model}:ro -v {out}:{out} ...`.
struct VendorSettings {
  std::vector<std::string> command;  ///< {"python3"}
  /// Of the whole run; what still runs then is killed.
  std::chrono::milliseconds limit = std::chrono::hours(24);
};

/// Called with every line that the toolchain prints.
using OnVendorLine = std::function<void(std::string_view line)>;

/// What a run of it left, as it said.
struct VendorRun {
  std::string version;
};

/// Whether it is there, and which version: starts it, for half a minute at most. `scratch` as
/// below. kUnavailable says what is not installed.
Result<VendorRun> ProbeVendor(FileSystem& files, const VendorSettings& settings,
                              const Path& scratch);

/// kUnavailable where there is no command.
Status CheckVendorCommand(const VendorSettings& settings);

/// Starts the toolchain for a request that was looked at, and waits for it, but not for processes
/// that it leaves behind, which are killed; it writes to `tree`. kDeadlineExceeded at its limit.
/// `scratch` gets the driver and its request. kUnavailable says what is not installed, or that it
/// is not `version`, which may be empty. Reports stage "vendor".
Result<VendorRun> RunVendor(FileSystem& files, const Preparation& preparation,
                            const VendorSettings& settings, int jobs, const std::string& version,
                            const Path& tree, const Path& scratch, const OnVendorLine& on_line,
                            domain::ProgressSink& progress);

/// Whether a tree has every file that the board's SDK looks for: kDataLoss lists all that are
/// missing, empty, or not a parameter dictionary.
Status CheckVendorTree(const Preparation& preparation, const Path& tree);

}  // namespace tyllm::compile
