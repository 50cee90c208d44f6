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

}  // namespace tyllm::model
