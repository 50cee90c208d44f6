// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/graph/graph.h"
#include "worker/graph/tower.h"
#include "worker/graph/tower_layout.h"
#include "worker/model/families.h"
#include "worker/model/linear_formats.h"
#include "worker/model/quantization_config.h"

// Any config.json is either refused or gives a shape from which a graph can be built.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tyllm;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = format::ParseJson(text, "config.json");
  if (!config.ok() || !config->is_object()) {
    return 0;
  }
  const auto quantization = model::ReadQuantizationConfig(*config, "config.json");
  if (quantization.ok() && *quantization) {
    for (const model::LinearFormat* const format : model::kLinearFormats) {
      const auto traits = format->read_config(&(*quantization)->json, (*quantization)->what);
      TYLLM_CHECK(!traits.ok() || traits->group >= 0);
    }
  }
  if (const auto vision = model::ReadVision(*config, "config.json"); vision.ok()) {
    const graph::Tower tower = graph::BuildTower(*vision, "visual");
    TYLLM_CHECK(tower.layers.size() == static_cast<std::size_t>(vision->depth));
    const model::VisualGrid grid{2, 3 * vision->merge, 2 * vision->merge};
    const graph::TowerLayout layout = graph::LayOut(*vision, grid);
    TYLLM_CHECK(layout.frame_ends.back() == grid.patches());
    TYLLM_CHECK(std::ssize(layout.rotations) == grid.patches() * vision->head_size());
  }
  const auto shape = model::ParseShape(*config, "config.json");
  if (!shape.ok()) {
    TYLLM_CHECK(!shape.status().message().empty());
    return 0;
  }
  TYLLM_CHECK(shape->parameters() > 0);
  TYLLM_CHECK(!model::RopeFrequencies(*shape).empty());
  TYLLM_CHECK(graph::BuildGraph(*shape).layers.size() == static_cast<std::size_t>(shape->layers));
  return 0;
}
