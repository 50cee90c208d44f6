// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/file_system.h"

namespace tyllm::model {

/// kInvalidArgument where `out` is the model directory or lies in it: unfinished work would be
/// taken for files of the model, which a result gets copies of and which say whether work may go
/// on.
Status CheckOutputPlace(const Path& model, const Path& out);

}  // namespace tyllm::model
