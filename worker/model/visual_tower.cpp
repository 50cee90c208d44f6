// SPDX-License-Identifier: Apache-2.0
#include "worker/model/visual_tower.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "worker/model/vision_config.h"
#include "worker/model/vision_shape.h"

namespace tyllm::model {

namespace {

using format::Json;

/// Collects tensors below one prefix.
class Tower {
 public:
  explicit Tower(std::string prefix) : prefix_(std::move(prefix)) {}

  void Linear(const std::string& module, std::int64_t out, std::int64_t in) {
    Add(module + ".weight", {out, in}, true);
    Add(module + ".bias", {out}, false);
  }

  void RmsNorm(const std::string& module, std::int64_t width) {
    Add(module + ".weight", {width}, false);
  }

  void LayerNorm(const std::string& module, std::int64_t width) {
    RmsNorm(module, width);
    Add(module + ".bias", {width}, false);
  }

  void Add(const std::string& name, std::vector<std::int64_t> shape, bool is_linear) {
    tensors_.push_back({prefix_ + name, std::move(shape), is_linear});
  }

  std::vector<NeededTensor> Take() { return std::move(tensors_); }

 private:
  std::string prefix_;
  std::vector<NeededTensor> tensors_;
};

std::vector<std::int64_t> PatchShape(const VisionConfig& v, std::int64_t width) {
  return {width, v.in_channels, v.temporal_patch_size, v.patch_size, v.patch_size};
}

void AddAttention(Tower& tower, const std::string& block, std::int64_t width) {
  tower.Linear(block + ".attn.qkv", 3 * width, width);
  tower.Linear(block + ".attn.proj", width, width);
}

std::vector<NeededTensor> Qwen2Vl(const VisionConfig& v) {
  Tower tower("visual.");
  const std::int64_t width = v.embed_dim.value_or(v.hidden_size);
  const std::int64_t merged = width * v.spatial_merge_size * v.spatial_merge_size;
  tower.Add("patch_embed.proj.weight", PatchShape(v, width), true);
  for (std::int64_t i = 0; i < v.depth; ++i) {
    const std::string block = "blocks." + std::to_string(i);
    tower.LayerNorm(block + ".norm1", width);
    tower.LayerNorm(block + ".norm2", width);
    AddAttention(tower, block, width);
    tower.Linear(block + ".mlp.fc1", width * v.mlp_ratio, width);
    tower.Linear(block + ".mlp.fc2", width, width * v.mlp_ratio);
  }
  tower.LayerNorm("merger.ln_q", width);
  tower.Linear("merger.mlp.0", merged, merged);
  tower.Linear("merger.mlp.2", v.hidden_size, merged);
  return tower.Take();
}

std::vector<NeededTensor> Qwen25Vl(const VisionConfig& v) {
  Tower tower("visual.");
  const std::int64_t width = v.hidden_size;
  const std::int64_t merged = width * v.spatial_merge_size * v.spatial_merge_size;
  tower.Add("patch_embed.proj.weight", PatchShape(v, width), true);
  for (std::int64_t i = 0; i < v.depth; ++i) {
    const std::string block = "blocks." + std::to_string(i);
    tower.RmsNorm(block + ".norm1", width);
    tower.RmsNorm(block + ".norm2", width);
    AddAttention(tower, block, width);
    tower.Linear(block + ".mlp.gate_proj", v.intermediate_size, width);
    tower.Linear(block + ".mlp.up_proj", v.intermediate_size, width);
    tower.Linear(block + ".mlp.down_proj", width, v.intermediate_size);
  }
  tower.RmsNorm("merger.ln_q", width);
  tower.Linear("merger.mlp.0", merged, merged);
  tower.Linear("merger.mlp.2", v.out_hidden_size, merged);
  return tower.Take();
}

void AddQwen3Merger(Tower& tower, const std::string& module, std::int64_t norm, std::int64_t merged,
                    std::int64_t out) {
  tower.LayerNorm(module + ".norm", norm);
  tower.Linear(module + ".linear_fc1", merged, merged);
  tower.Linear(module + ".linear_fc2", out, merged);
}

std::vector<NeededTensor> Qwen3Vl(const VisionConfig& v) {
  Tower tower("model.visual.");
  const std::int64_t width = v.hidden_size;
  const std::int64_t merged = width * v.spatial_merge_size * v.spatial_merge_size;
  tower.Add("patch_embed.proj.weight", PatchShape(v, width), true);
  tower.Add("patch_embed.proj.bias", {width}, false);
  tower.Add("pos_embed.weight", {v.num_position_embeddings, width}, false);
  for (std::int64_t i = 0; i < v.depth; ++i) {
    const std::string block = "blocks." + std::to_string(i);
    tower.LayerNorm(block + ".norm1", width);
    tower.LayerNorm(block + ".norm2", width);
    AddAttention(tower, block, width);
    tower.Linear(block + ".mlp.linear_fc1", v.intermediate_size, width);
    tower.Linear(block + ".mlp.linear_fc2", width, v.intermediate_size);
  }
  AddQwen3Merger(tower, "merger", width, merged, v.out_hidden_size);
  for (std::size_t i = 0; i < v.deepstack_visual_indexes.size(); ++i) {
    AddQwen3Merger(tower, "deepstack_merger_list." + std::to_string(i), merged, merged,
                   v.out_hidden_size);
  }
  return tower.Take();
}

/// A published model's tower: the values of its vision_config.
struct PublishedTower {
  std::string_view model;
  std::int64_t depth, width, heads, mlp, patch;
  std::array<std::int64_t, 4> layers;  ///< deepstack, or full attention; 0 where unused
};

Json Layers(const PublishedTower& tower) {
  Json layers = Json::array();
  for (const std::int64_t layer : tower.layers) {
    if (layer != 0) {
      layers.push_back(layer);
    }
  }
  return layers;
}

// What each kind of tower has besides the keys that all share. `out` is the language model's width.

Json Qwen2VlKeys(const PublishedTower& tower, std::int64_t out) {
  return {{"embed_dim", tower.width},
          {"hidden_size", out},
          {"mlp_ratio", tower.mlp / tower.width},
          {"hidden_act", "quick_gelu"}};
}

Json Qwen25VlKeys(const PublishedTower& tower, std::int64_t out) {
  return {{"hidden_size", tower.width},
          {"intermediate_size", tower.mlp},
          {"out_hidden_size", out},
          {"hidden_act", "silu"},
          {"window_size", 112},
          {"tokens_per_second", 2},
          {"fullatt_block_indexes", Layers(tower)}};
}

Json Qwen3VlKeys(const PublishedTower& tower, std::int64_t out) {
  return {{"hidden_size", tower.width},      {"intermediate_size", tower.mlp},
          {"out_hidden_size", out},          {"hidden_act", "gelu_pytorch_tanh"},
          {"num_position_embeddings", 2304}, {"deepstack_visual_indexes", Layers(tower)}};
}

constexpr PublishedTower kQwen2VlTowers[] = {{"Qwen2-VL-7B", 32, 1280, 16, 5120, 14, {}}};
constexpr PublishedTower kQwen25VlTowers[] = {
    {"Qwen2.5-VL-3B", 32, 1280, 16, 3420, 14, {7, 15, 23, 31}},
    {"Qwen2.5-VL-7B", 32, 1280, 16, 3420, 14, {7, 15, 23, 31}},
};
constexpr PublishedTower kQwen3VlTowers[] = {
    {"Qwen3-VL-2B", 24, 1024, 16, 4096, 16, {5, 11, 17}},
    {"Qwen3-VL-4B", 24, 1024, 16, 4096, 16, {5, 11, 17}},
    {"Qwen3-VL-8B", 27, 1152, 16, 4304, 16, {8, 16, 24}},
};

/// A kind of tower: how configurations call it (the hub's and transformers 5's), its tensors, and
/// the published models that have one.
struct TowerKind {
  std::array<std::string_view, 2> model_types;
  std::vector<NeededTensor> (*tensors)(const VisionConfig& config) = nullptr;
  Json (*keys)(const PublishedTower& tower, std::int64_t out) = nullptr;
  std::span<const PublishedTower> published;
};

constexpr std::array kTowerKinds = {
    TowerKind{{"qwen2_vl", "qwen2_vl_vision"}, Qwen2Vl, Qwen2VlKeys, kQwen2VlTowers},
    TowerKind{{"qwen2_5_vl", "qwen2_5_vl_vision"}, Qwen25Vl, Qwen25VlKeys, kQwen25VlTowers},
    TowerKind{{"qwen3_vl", "qwen3_vl_vision"}, Qwen3Vl, Qwen3VlKeys, kQwen3VlTowers},
};

}  // namespace

Json PublishedVision(std::string_view name, const ModelShape& shape) {
  for (const TowerKind& kind : kTowerKinds) {
    for (const PublishedTower& tower : kind.published) {
      if (tower.model != name) {
        continue;
      }
      Json vision = {{"model_type", kind.model_types.front()},
                     {"depth", tower.depth},
                     {"num_heads", tower.heads},
                     {"in_channels", 3},
                     {"patch_size", tower.patch},
                     {"spatial_merge_size", 2},
                     {"temporal_patch_size", 2}};
      vision.update(kind.keys(tower, shape.width));
      return vision;
    }
  }
  return {};
}

Result<std::vector<NeededTensor>> VisualTensors(const Json& vision, std::string_view what) {
  TYLLM_ASSIGN(const VisionConfig config,
               format::FromJson<VisionConfig>(vision, what, format::UnknownKeys::kIgnore));
  for (const TowerKind& kind : kTowerKinds) {
    if (std::ranges::count(kind.model_types, config.model_type) != 0) {
      return kind.tensors(config);
    }
  }
  return Unimplemented(std::string(what) + ".model_type is '" + config.model_type.substr(0, 80) +
                       "', known are towers of qwen2_vl, qwen2_5_vl and qwen3_vl");
}

std::vector<std::string> UnusedVisualTensors(const Json& config,
                                             const std::vector<std::string>& names) {
  if (!ReadVision(config, "config.json").ok()) {  // bounds what follows
    return {};
  }
  Json vision = config.at("vision_config");
  if (!vision.contains("model_type")) {
    vision["model_type"] = config.value("model_type", "");
  }
  const auto tensors = VisualTensors(vision, "vision_config");
  if (!tensors.ok()) {
    return {};
  }
  // What comes before differs between older and newer files.
  static constexpr std::string_view kTower = "visual.";
  const auto below = [](std::string_view name) { return name.substr(name.find(kTower)); };
  std::set<std::string, std::less<>> used;
  for (const NeededTensor& tensor : *tensors) {
    used.emplace(below(tensor.name));
  }
  std::vector<std::string> unused;
  std::ranges::copy_if(names, std::back_inserter(unused), [&](const std::string& name) {
    return name.find(kTower) != std::string::npos && !used.contains(below(name));
  });
  return unused;
}

}  // namespace tyllm::model
