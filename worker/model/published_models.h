// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "worker/model/model_shape.h"

namespace tyllm::model {

/// A model that its makers published. Nothing in the toolchain depends on this list: it tells
/// people what the supported families include and how large it is.
struct PublishedModel {
  std::string_view name;  ///< "Qwen3-1.7B"
  ModelShape shape;
};

/// All of them, by family and size: what each family of kFamilies tells.
std::vector<PublishedModel> PublishedModels();

}  // namespace tyllm::model
