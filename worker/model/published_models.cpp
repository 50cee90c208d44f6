// SPDX-License-Identifier: Apache-2.0
#include "worker/model/published_models.h"

#include <utility>

#include "worker/model/families.h"

namespace tyllm::model {

std::vector<PublishedModel> PublishedModels() {
  std::vector<PublishedModel> models;
  for (const Family* const family : kFamilies) {
    for (PublishedModel& published : family->published()) {
      published.shape.family = family->name;
      published.shape.architecture = family->architecture;
      models.push_back(std::move(published));
    }
  }
  return models;
}

std::vector<PublishedModel> ModelsOf(std::span<const PublishedSize> sizes,
                                     void (*add_quirks)(ModelShape& shape)) {
  std::vector<PublishedModel> models;
  for (const PublishedSize& size : sizes) {
    ModelShape shape;
    shape.layers = size.layers;
    shape.width = size.width;
    shape.heads = size.heads;
    shape.kv_heads = size.kv_heads;
    shape.head_size = size.head_size;
    shape.intermediate = size.intermediate;
    shape.vocabulary = size.vocabulary;
    shape.max_positions = size.max_positions;
    shape.tied_head = size.tied_head;
    shape.rope_theta = size.rope_theta;
    shape.norm_epsilon = size.norm_epsilon;
    if (add_quirks != nullptr) {
      add_quirks(shape);
    }
    models.push_back({size.name, std::move(shape)});
  }
  return models;
}

}  // namespace tyllm::model
