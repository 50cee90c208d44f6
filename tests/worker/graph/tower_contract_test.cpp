// SPDX-License-Identifier: Apache-2.0
// What the tower of every kind promises to its readers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "worker/graph/tower.h"
#include "worker/graph/tower_layout.h"
#include "worker/model/families.h"
#include "worker/model/visual_tower.h"

namespace tyllm::graph {
namespace {

struct Kind {
  const char* model;
  const char* visual;
};

constexpr Kind kKinds[] = {{"Qwen2-VL-7B", "visual"},
                           {"Qwen2.5-VL-3B", "visual"},
                           {"Qwen3-VL-4B", "model.visual"},
                           {"Qwen3-VL-8B", "model.visual"}};

const model::PublishedModel& Published(std::string_view name) {
  static const std::vector<model::PublishedModel> all = [] {
    std::vector<model::PublishedModel> models;
    for (const model::Family* const family : model::kFamilies) {
      for (model::PublishedModel& published : family->published()) {
        models.push_back(std::move(published));
      }
    }
    return models;
  }();
  const auto found = std::ranges::find(all, name, &model::PublishedModel::name);
  TYLLM_CHECK(found != all.end());
  return *found;
}

class TowerContract : public ::testing::TestWithParam<Kind> {
 protected:
  TowerContract() {
    const model::PublishedModel& published = Published(GetParam().model);
    config_ = {{"vision_config", model::PublishedVision(published.name, published.shape)},
               {"rope_scaling", {{"mrope_section", {24, 20, 20}}}},
               {"image_token_id", 1},
               {"video_token_id", 2},
               {"vision_start_token_id", 3},
               {"vision_end_token_id", 4}};
    const auto shape = model::ReadVision(config_, "config.json");
    TYLLM_CHECK(shape.ok());
    tower_ = BuildTower(*shape, GetParam().visual);
  }

  std::vector<const Block*> Blocks() const {
    std::vector<const Block*> blocks{&tower_.patches, &tower_.merger};
    for (const Block& block : tower_.layers) {
      blocks.push_back(&block);
    }
    for (const Block& block : tower_.deepstack) {
      blocks.push_back(&block);
    }
    return blocks;
  }

  format::Json config_;
  Tower tower_;
};

INSTANTIATE_TEST_SUITE_P(All, TowerContract, ::testing::ValuesIn(kKinds), [](const auto& test) {
  std::string name(test.param.model);
  std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
  return name;
});

TEST_P(TowerContract, NodesStandInAnOrderInWhichTheyCanRun) {
  for (const Block* const block : Blocks()) {
    std::set<ValueId> ready{0};
    for (const Node& node : block->nodes) {
      for (const ValueId input : node.inputs) {
        EXPECT_TRUE(ready.contains(input)) << block->name;
      }
      EXPECT_TRUE(ready.insert(node.output).second);
    }
    EXPECT_TRUE(ready.contains(block->output));
  }
}

TEST_P(TowerContract, UsesExactlyTheTensorsOfTheInventoryWithTheirSizes) {
  std::map<std::string, std::int64_t> needed;
  const auto tensors = model::VisualTensors(config_["vision_config"], "vision_config");
  ASSERT_TRUE(tensors.ok());
  for (const model::NeededTensor& tensor : *tensors) {
    std::int64_t elements = 1;
    for (const std::int64_t side : tensor.shape) {
      elements *= side;
    }
    needed[tensor.name] = elements;
  }
  std::map<std::string, std::int64_t> used;
  for (const Block* const block : Blocks()) {
    for (const Node& node : block->nodes) {
      const auto columns = [&](ValueId id) {
        return block->values[static_cast<std::size_t>(id)].columns;
      };
      const std::int64_t out = columns(node.output);
      if (node.op == Op::kLinear) {
        used[node.weight + ".weight"] = node.parts * out * columns(node.inputs[0]);
      } else if (node.op == Op::kGridEmbedding) {
        used[node.weight] = tower_.shape.grid_side * tower_.shape.grid_side * out;
      } else if (!node.weight.empty()) {
        used[node.weight] = out;
      }
      if (!node.bias.empty()) {
        used[node.bias] = node.parts * out;
      }
    }
  }
  EXPECT_EQ(used, needed);
}

TEST_P(TowerContract, ALayoutCoversEveryPatchOnce) {
  const model::VisualGrid grid{2, 34, 60};
  const TowerLayout layout = LayOut(tower_.shape, grid);
  EXPECT_EQ(layout.frame_ends, (std::vector<std::int32_t>{2040, 4080}));
  EXPECT_EQ(std::ssize(layout.rotations), 4080 * tower_.shape.head_size());
  EXPECT_EQ(layout.window_ends.empty(), tower_.shape.window == 0);
  if (tower_.shape.window > 0) {
    EXPECT_EQ(layout.window_ends.back(), 4080);
    std::vector<std::int32_t> sorted = layout.to_windows;
    std::ranges::sort(sorted);
    for (std::int32_t i = 0; i < 4080; ++i) {
      EXPECT_EQ(sorted[static_cast<std::size_t>(i)], i);
    }
    const std::int64_t unit = tower_.shape.unit();
    for (std::size_t token = 0; token < layout.from_windows.size(); ++token) {
      const auto patch = static_cast<std::size_t>(layout.from_windows[token] * unit);
      EXPECT_EQ(layout.to_windows[patch], static_cast<std::int32_t>(token) * unit);
    }
  }
  if (tower_.shape.grid_side > 0) {
    ASSERT_EQ(std::ssize(layout.grid_rows), 4 * 4080);
    for (std::size_t patch = 0; patch < 4080; ++patch) {
      float sum = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        sum += layout.grid_weights[4 * patch + i];
        EXPECT_LT(layout.grid_rows[4 * patch + i], tower_.shape.grid_side * tower_.shape.grid_side);
      }
      EXPECT_NEAR(sum, 1.0F, 1e-6F);
    }
  }
}

}  // namespace
}  // namespace tyllm::graph
