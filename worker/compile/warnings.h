// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "worker/compile/preparation.h"

namespace tyllm::compile {

/// What is no problem and will surprise somebody later: files that the output would do without, and
/// options that the model made less of.
std::vector<std::string> Warnings(const Preparation& preparation);

}  // namespace tyllm::compile
