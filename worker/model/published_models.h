// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
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

/// A row of a family's table: the values of a published config.json.
struct PublishedSize {
  std::string_view name;
  std::int64_t width = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_size = 128;
  std::int64_t intermediate = 0;
  std::int64_t vocabulary = 0;
  std::int64_t max_positions = 0;
  bool tied_head = false;
  double rope_theta = 1e6;
  float norm_epsilon = 1e-6F;
};

/// The models of a table. `add_quirks` sets what all models of the family have besides.
std::vector<PublishedModel> ModelsOf(std::span<const PublishedSize> sizes,
                                     void (*add_quirks)(ModelShape& shape) = nullptr);

}  // namespace tyllm::model
