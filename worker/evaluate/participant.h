// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "worker/forward/model.h"
#include "worker/model/tokenizer.h"

namespace tyllm::evaluate {

/// A model under evaluation, opened. Of several the first is the one that is judged, the second its
/// reference.
struct Participant {
  Path directory;
  forward::Model model;
  model::Tokenizer tokenizer;
};

using Participants = std::span<const Participant>;

}  // namespace tyllm::evaluate
