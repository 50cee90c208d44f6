// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/tower.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/portable_math.h"
#include "worker/forward/block_stream.h"
#include "worker/forward/tower_runner.h"
#include "worker/model/visual_tower.h"

namespace tyllm::forward {

namespace {

/// The name that this checkpoint has for a tensor of the inventory.
std::string NameIn(std::string_view visual, std::string_view name) {
  constexpr std::string_view kVisual = "visual.";
  return std::string(visual) + "." + std::string(name.substr(name.find(kVisual) + kVisual.size()));
}

Status CheckTensors(const Model& model) {
  const model::Checkpoint& checkpoint = model.checkpoint;
  const std::string what = (checkpoint.directory() / "config.json").string();
  format::Json vision = checkpoint.config().at("vision_config");
  if (!vision.contains("model_type")) {
    vision["model_type"] = checkpoint.config().value("model_type", std::string());
  }
  TYLLM_ASSIGN(const auto tensors, model::VisualTensors(vision, what + ".vision_config"));
  for (const model::NeededTensor& tensor : tensors) {
    const std::string name = NameIn(model.shape().names.visual, tensor.name);
    TYLLM_ASSIGN(const format::TensorView view, checkpoint.Find(name));
    if (view.shape != tensor.shape) {
      return InvalidArgument(checkpoint.directory().string() + ": tensor " + name + " is " +
                             format::ShapeText(view.shape) + ", expected " +
                             format::ShapeText(tensor.shape) + " of the visual tower");
    }
  }
  return OkStatus();
}

Status CheckPixels(const model::VisionShape& shape, std::span<const VisualPixels> items) {
  for (const VisualPixels& item : items) {
    TYLLM_TRY(model::CheckGrid(shape, item.item.grid, "an image"));
    if (item.patches.rows() != item.item.grid.patches() ||
        item.patches.columns() != shape.patch_values()) {
      return InvalidArgument(
          "an image has pixels [" + std::to_string(item.patches.rows()) + ", " +
          std::to_string(item.patches.columns()) + "], expected [" +
          std::to_string(item.item.grid.patches()) + ", " + std::to_string(shape.patch_values()) +
          "] of its grid and the model's patches; is the processor configuration the model's?");
    }
  }
  return OkStatus();
}

/// The blocks in the order in which they run: each deepstack merger after the block that it reads.
std::vector<const graph::Block*> BlocksOf(const graph::Tower& tower) {
  std::vector<const graph::Block*> blocks{&tower.patches};
  for (std::size_t layer = 0; layer < tower.layers.size(); ++layer) {
    blocks.push_back(&tower.layers[layer]);
    const auto at = std::ranges::find(tower.shape.deepstack, static_cast<std::int64_t>(layer));
    if (at != tower.shape.deepstack.end()) {
      blocks.push_back(
          &tower.deepstack[static_cast<std::size_t>(at - tower.shape.deepstack.begin())]);
    }
  }
  blocks.push_back(&tower.merger);
  return blocks;
}

/// A back end with a memory of its own gets the weights there.
BlockStream StreamOf(tensor::Backend& backend, const model::Checkpoint& checkpoint,
                     std::vector<const graph::Block*> blocks) {
  return backend.has_own_memory() ? BlockStream(backend, checkpoint, std::move(blocks))
                                  : BlockStream(checkpoint, std::move(blocks));
}

tensor::Matrix OnHost(tensor::Backend& backend, tensor::Matrix matrix) {
  return matrix.on_device() ? backend.Fetch(matrix.view()) : std::move(matrix);
}

bool IsDeepstack(const graph::Tower& tower, const graph::Block& block) {
  return std::ranges::any_of(tower.deepstack,
                             [&](const graph::Block& merger) { return &merger == &block; });
}

}  // namespace

Result<graph::Tower> OpenTower(const Model& model) {
  const std::string directory = model.checkpoint.directory().string();
  if (!model::HasVision(model.checkpoint.config()) || model.shape().names.visual.empty()) {
    return FailedPrecondition(directory + " is a model of text: it takes no images or videos");
  }
  const std::string what = (model.checkpoint.directory() / "config.json").string();
  TYLLM_ASSIGN(const model::VisionShape shape, model::ReadVision(model.checkpoint.config(), what));
  if (shape.out_width != model.shape().width) {
    return InvalidArgument(what + ": the visual tower's output has " +
                           std::to_string(shape.out_width) + " numbers, expected the width " +
                           std::to_string(model.shape().width) + " of the language model");
  }
  if (2 * std::ssize(shape.rope_axes) != model.shape().head_size) {
    return InvalidArgument(what + ": mrope_section has " + std::to_string(shape.rope_axes.size()) +
                           " pairs, expected half the head size of " +
                           std::to_string(model.shape().head_size));
  }
  if (std::ssize(shape.deepstack) > model.shape().layers) {
    return InvalidArgument(what + ": deepstack_visual_indexes has " +
                           std::to_string(shape.deepstack.size()) +
                           " blocks, expected at most as many as the language model has layers");
  }
  TYLLM_TRY(CheckTensors(model));
  return graph::BuildTower(shape, model.shape().names.visual);
}

Result<std::vector<VisualFeatures>> RunTower(const Model& model, const graph::Tower& tower,
                                             tensor::Backend& backend,
                                             std::span<const VisualPixels> items,
                                             const AfterTowerBlock& after,
                                             std::span<const float> frequencies) {
  TYLLM_TRY(CheckPixels(tower.shape, items));
  TYLLM_ASSIGN(TowerRunner runner, TowerRunner::Make(backend, tower.shape));
  std::vector<graph::TowerLayout> layouts;
  std::vector<tensor::Matrix> hidden(items.size());
  std::vector<VisualFeatures> features(items.size());
  for (const VisualPixels& item : items) {
    layouts.push_back(frequencies.empty()
                          ? graph::LayOut(tower.shape, item.item.grid)
                          : graph::LayOut(tower.shape, item.item.grid, frequencies));
  }
  BlockStream stream = StreamOf(backend, model.checkpoint, BlocksOf(tower));
  while (const graph::Block* const block = stream.upcoming()) {
    TYLLM_ASSIGN(const BlockWeights weights, stream.Next());
    for (std::size_t i = 0; i < items.size(); ++i) {
      const tensor::Matrix& input = block == &tower.patches ? items[i].patches : hidden[i];
      TYLLM_ASSIGN(tensor::Matrix output, runner.Run(*block, weights, input, layouts[i]));
      if (after) {
        after(*block, i, output.on_device() ? backend.Fetch(output.view()) : output);
      }
      if (IsDeepstack(tower, *block)) {
        features[i].deepstack.push_back(OnHost(backend, std::move(output)));
      } else if (block == &tower.merger) {
        features[i].tokens = OnHost(backend, std::move(output));
        hidden[i] = {};
      } else {
        hidden[i] = std::move(output);
      }
    }
  }
  return features;
}

tensor::Matrix RotationsOf(const model::VisionShape& vision, std::span<const float> frequencies,
                           const std::array<std::vector<std::int32_t>, 3>& axes) {
  const std::int64_t half = std::ssize(frequencies);
  TYLLM_CHECK(std::ssize(vision.rope_axes) == half);
  tensor::Matrix rotations(std::ssize(axes[0]), 2 * half);
  for (std::int64_t t = 0; t < rotations.rows(); ++t) {
    float* const row = rotations.row(t).data();
    for (std::int64_t pair = 0; pair < half; ++pair) {
      const auto at = static_cast<std::size_t>(pair);
      const auto position =
          static_cast<float>(axes[vision.rope_axes[at]][static_cast<std::size_t>(t)]);
      const auto angle = static_cast<double>(position * frequencies[at]);
      row[pair] = static_cast<float>(PortableCos(angle));
      row[half + pair] = static_cast<float>(PortableSin(angle));
    }
  }
  return rotations;
}

Result<VisualInput> MakeVisualInput(const model::ModelShape& shape,
                                    const model::VisionShape& vision,
                                    const model::VisualPositions& positions,
                                    std::span<const VisualFeatures> features) {
  VisualInput input;
  input.rotations = RotationsOf(vision, model::RopeFrequencies(shape), positions.axes);
  input.rows = positions.rows;
  input.next_position = positions.next;
  for (const VisualFeatures& item : features) {
    input.tokens.AppendRows(item.tokens.view());
    input.deepstack.resize(std::max(input.deepstack.size(), item.deepstack.size()));
    for (std::size_t level = 0; level < item.deepstack.size(); ++level) {
      input.deepstack[level].AppendRows(item.deepstack[level].view());
    }
  }
  if (input.tokens.rows() != std::ssize(input.rows)) {
    return InvalidArgument("the text has " + std::to_string(input.rows.size()) +
                           " tokens that stand for parts of images, but the images make " +
                           std::to_string(input.tokens.rows()) + " features");
  }
  return input;
}

}  // namespace tyllm::forward
