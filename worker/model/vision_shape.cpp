// SPDX-License-Identifier: Apache-2.0
#include "worker/model/vision_shape.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "worker/model/decoder_config.h"
#include "worker/model/rope_config.h"
#include "worker/model/vision_config.h"

namespace tyllm::model {

namespace {

constexpr VisionNames kQwen2Names;
constexpr VisionNames kQwen25Names{
    .fc1 = "mlp.gate_proj", .up = "mlp.up_proj", .fc2 = "mlp.down_proj"};
constexpr VisionNames kQwen3Names{.fc1 = "mlp.linear_fc1",
                                  .up = {},
                                  .fc2 = "mlp.linear_fc2",
                                  .merger_norm = "norm",
                                  .merger_fc1 = "linear_fc1",
                                  .merger_fc2 = "linear_fc2"};

// What each kind makes of the keys that not all towers have.

Status FillQwen2(const VisionConfig& config, std::string_view, VisionShape& shape) {
  shape.width = config.embed_dim.value_or(config.hidden_size);
  shape.intermediate = shape.width * config.mlp_ratio;
  shape.out_width = config.hidden_size;
  return OkStatus();
}

Status FillQwen25(const VisionConfig& config, std::string_view what, VisionShape& shape) {
  shape.rms_norm = true;
  shape.video_time = VideoTime::kSeconds;
  shape.tokens_per_second = config.tokens_per_second;
  shape.full_blocks = config.fullatt_block_indexes;
  const std::int64_t token = shape.patch * shape.merge;
  if (token <= 0 || config.window_size < token) {
    return InvalidArgument(std::string(what) + ".window_size is " +
                           std::to_string(config.window_size) +
                           " pixels, expected at least patch_size * spatial_merge_size");
  }
  shape.window = config.window_size / token;
  return OkStatus();
}

Status FillQwen3(const VisionConfig& config, std::string_view what, VisionShape& shape) {
  shape.patch_bias = true;
  shape.video_time = VideoTime::kApart;
  shape.deepstack = config.deepstack_visual_indexes;
  const auto positions = static_cast<double>(config.num_position_embeddings);
  shape.grid_side = std::llround(std::sqrt(std::max(0.0, positions)));
  if (shape.grid_side < 1 || shape.grid_side > 4096 ||
      shape.grid_side * shape.grid_side != config.num_position_embeddings) {
    return InvalidArgument(std::string(what) + ".num_position_embeddings is " +
                           std::to_string(config.num_position_embeddings) +
                           ", expected a square number of at most 4096 * 4096");
  }
  return OkStatus();
}

/// A kind of tower: how configurations call it (the hub's and transformers 5's), and its quirks.
struct VisionKind {
  std::array<std::string_view, 2> model_types;
  const VisionNames* names = nullptr;
  VisionActivation activation = VisionActivation::kGelu;  ///< where the configuration has none
  bool interleaved = false;  ///< the sections of the language model's rope
  Status (*fill)(const VisionConfig& config, std::string_view what, VisionShape& shape) = nullptr;
};

constexpr std::array kVisionKinds = {
    VisionKind{{"qwen2_vl", "qwen2_vl_vision"},
               &kQwen2Names,
               VisionActivation::kQuickGelu,
               false,
               FillQwen2},
    VisionKind{{"qwen2_5_vl", "qwen2_5_vl_vision"},
               &kQwen25Names,
               VisionActivation::kSilu,
               false,
               FillQwen25},
    VisionKind{{"qwen3_vl", "qwen3_vl_vision"},
               &kQwen3Names,
               VisionActivation::kGeluTanh,
               true,
               FillQwen3},
};

Status CheckNumber(std::string_view what, std::string_view key, std::int64_t value,
                   std::int64_t most) {
  if (value >= 1 && value <= most) {
    return OkStatus();
  }
  return InvalidArgument(std::string(what) + "." + std::string(key) + " is " +
                         std::to_string(value) + ", expected 1 to " + std::to_string(most));
}

Status CheckSizes(const VisionShape& shape, std::string_view what) {
  constexpr std::int64_t kMostWidth = 1 << 20;
  TYLLM_TRY(CheckNumber(what, "depth", shape.depth, 4096));
  TYLLM_TRY(CheckNumber(what, "hidden_size", shape.width, kMostWidth));
  TYLLM_TRY(CheckNumber(what, "num_heads", shape.heads, 4096));
  TYLLM_TRY(CheckNumber(what, "intermediate_size", shape.intermediate, kMostWidth));
  TYLLM_TRY(CheckNumber(what, "in_channels", shape.channels, 16));
  TYLLM_TRY(CheckNumber(what, "patch_size", shape.patch, 256));
  TYLLM_TRY(CheckNumber(what, "temporal_patch_size", shape.temporal_patch, 16));
  TYLLM_TRY(CheckNumber(what, "spatial_merge_size", shape.merge, 16));
  TYLLM_TRY(CheckNumber(what, "out_hidden_size", shape.out_width, kMostWidth));
  if (shape.width % shape.heads != 0 || shape.head_size() % 4 != 0) {
    return InvalidArgument(std::string(what) + ".hidden_size is " + std::to_string(shape.width) +
                           " with " + std::to_string(shape.heads) +
                           " num_heads, expected heads of a multiple of 4 numbers");
  }
  if (!(shape.tokens_per_second > 0 && shape.tokens_per_second <= 1e6)) {
    return InvalidArgument(std::string(what) + ".tokens_per_second is " +
                           std::to_string(shape.tokens_per_second) +
                           ", expected more than 0 and at most 1000000");
  }
  return OkStatus();
}

Status CheckBlocks(const std::vector<std::int64_t>& blocks, std::int64_t depth,
                   std::string_view key) {
  const bool ascends = std::ranges::adjacent_find(blocks, std::greater_equal()) == blocks.end();
  if (ascends && (blocks.empty() || (blocks.front() >= 0 && blocks.back() < depth))) {
    return OkStatus();
  }
  return InvalidArgument(std::string(key) + " is " +
                         format::CompactJson(format::ToJson(blocks)).substr(0, 80) +
                         ", expected ascending blocks of 0 to " + std::to_string(depth - 1) +
                         " (without the key it is what transformers takes)");
}

Status CheckActivation(const VisionShape& shape, std::string_view what) {
  if ((shape.activation == VisionActivation::kSilu) == !shape.names.up.empty()) {
    return OkStatus();
  }
  return Unimplemented(
      std::string(what) + ".hidden_act is '" +
      std::string(kVisionActivationNames.Name(shape.activation)) +
      "', which is not supported for this kind of tower; expected the published one");
}

Status ReadToken(const format::Json& config, std::string_view what, std::string_view key,
                 std::int32_t& token) {
  const auto found = config.find(key);
  const bool fits = found != config.end() && found->is_number_integer() &&
                    found->get<std::int64_t>() >= 0 &&
                    found->get<std::int64_t>() <= std::numeric_limits<std::int32_t>::max();
  if (!fits) {
    return InvalidArgument(std::string(what) + " has no token id '" + std::string(key) +
                           "', which stands for parts of images in a text; add it");
  }
  token = found->get<std::int32_t>();
  return OkStatus();
}

Status ReadTokens(const format::Json& config, std::string_view what, VisionShape& shape) {
  TYLLM_TRY(ReadToken(config, what, "image_token_id", shape.image_token));
  TYLLM_TRY(ReadToken(config, what, "video_token_id", shape.video_token));
  TYLLM_TRY(ReadToken(config, what, "vision_start_token_id", shape.vision_start));
  return ReadToken(config, what, "vision_end_token_id", shape.vision_end);
}

std::string TypeOfModel(const format::Json& config) {
  const auto type = config.find("model_type");
  return type != config.end() && type->is_string() ? type->get<std::string>() : std::string();
}

/// Sections one after another, or (Qwen3-VL) height and width at every third pair as far as their
/// sections reach. Sources: transformers, modeling_qwen2_vl.py and modeling_qwen3_vl.py.
std::vector<std::uint8_t> AxesOf(const std::vector<std::int64_t>& sections, bool interleaved) {
  std::vector<std::uint8_t> axes;
  for (std::size_t axis = 0; axis < sections.size(); ++axis) {
    axes.insert(axes.end(), static_cast<std::size_t>(sections[axis]),
                static_cast<std::uint8_t>(axis));
  }
  for (std::size_t pair = 0; interleaved && pair < axes.size(); ++pair) {
    const std::size_t axis = pair % 3;
    const bool reaches = static_cast<std::int64_t>(pair) < 3 * sections[axis];
    axes[pair] = axis > 0 && reaches ? static_cast<std::uint8_t>(axis) : std::uint8_t{0};
  }
  return axes;
}

/// Whether sections are interleaved belongs to the kind: transformers does not read the flag.
Status CheckInterleaved(const format::Json& rope, bool interleaved, std::string_view what) {
  const auto flag = rope.find("mrope_interleaved");
  if (flag == rope.end() || flag->is_null() || *flag == interleaved) {
    return OkStatus();
  }
  return InvalidArgument(std::string(what) + ".mrope_interleaved is " +
                         format::CompactJson(*flag).substr(0, 80) + ", expected " +
                         (interleaved ? "true" : "false") +
                         " for models of this kind; take the file of the original model");
}

/// From the language model's keys, which stand at the top or in text_config, in the form of
/// transformers 5 (rope_parameters) or before (rope_scaling), which it reads first.
Result<std::vector<std::uint8_t>> ReadRopeAxes(const format::Json& config, bool interleaved,
                                               std::string_view what) {
  constexpr std::int64_t kMostPairs = 1 << 14;
  TYLLM_ASSIGN(const TextConfig text, ReadTextConfig(config, what));
  for (const char* const key : {"rope_scaling", "rope_parameters"}) {
    const auto rope = text.json.find(key);
    if (rope == text.json.end() || !rope->is_object() || !rope->contains("mrope_section")) {
      continue;
    }
    const std::string rope_what = text.what + "." + key;
    TYLLM_ASSIGN(const RopeConfig read,
                 format::FromJson<RopeConfig>(*rope, rope_what, format::UnknownKeys::kIgnore));
    const std::vector<std::int64_t> sections =
        read.mrope_section.value_or(std::vector<std::int64_t>());
    const bool sane = sections.size() == 3 && std::ranges::all_of(sections, [](std::int64_t s) {
                        return s >= 0 && s <= kMostPairs;
                      });
    if (!sane) {
      return InvalidArgument(rope_what + ".mrope_section is not three numbers of pairs");
    }
    TYLLM_TRY(CheckInterleaved(*rope, interleaved, rope_what));
    return AxesOf(sections, interleaved);
  }
  return InvalidArgument(text.what +
                         " has no rope_scaling.mrope_section, which a model that sees needs; add "
                         "it");
}

/// The base and the kind that towers are computed with, wherever a configuration says them.
Status CheckTowerRope(const VisionConfig& config, std::string_view what) {
  const auto check_theta = [](const std::optional<double>& theta, const std::string& name) {
    return theta.value_or(VisionShape::kRopeTheta) == VisionShape::kRopeTheta
               ? OkStatus()
               : Unimplemented(name + ".rope_theta is " + std::to_string(*theta) +
                               ", supported for visual towers is only 10000");
  };
  const std::string name(what);
  TYLLM_TRY(check_theta(config.rope_theta, name));
  const std::pair<const std::optional<RopeConfig>&, const char*> both[] = {
      {config.rope_scaling, ".rope_scaling"}, {config.rope_parameters, ".rope_parameters"}};
  for (const auto& [rope, key] : both) {
    if (!rope) {
      continue;
    }
    TYLLM_TRY(check_theta(rope->rope_theta, name + key));
    const std::string type = rope->rope_type.value_or(rope->type.value_or("default"));
    if (type != "default" && type != "axial") {
      return Unimplemented(name + key + ".rope_type is '" + type.substr(0, 80) +
                           "', supported for visual towers are 'default' and 'axial'");
    }
  }
  return OkStatus();
}

Result<VisionShape> ShapeOf(const VisionConfig& config, const VisionKind& kind,
                            std::string_view what) {
  VisionShape shape;
  shape.names = *kind.names;
  shape.depth = config.depth;
  shape.width = config.hidden_size;
  shape.heads = config.num_heads;
  shape.intermediate = config.intermediate_size;
  shape.channels = config.in_channels;
  shape.patch = config.patch_size;
  shape.temporal_patch = config.temporal_patch_size;
  shape.merge = config.spatial_merge_size;
  shape.out_width = config.out_hidden_size;
  shape.activation = kind.activation;
  if (config.hidden_act) {
    const auto read = kVisionActivationNames.Parse(*config.hidden_act);
    if (!read.ok()) {
      return read.status().Annotate(std::string(what) + ".hidden_act");
    }
    shape.activation = *read;
  }
  TYLLM_TRY(CheckTowerRope(config, what));
  TYLLM_TRY(kind.fill(config, what, shape));
  TYLLM_TRY(CheckSizes(shape, what));
  TYLLM_TRY(CheckActivation(shape, what));
  TYLLM_TRY(
      CheckBlocks(shape.full_blocks, shape.depth, std::string(what) + ".fullatt_block_indexes"));
  TYLLM_TRY(
      CheckBlocks(shape.deepstack, shape.depth, std::string(what) + ".deepstack_visual_indexes"));
  return shape;
}

}  // namespace

bool VisionShape::IsWindowed(std::int64_t block) const {
  return window > 0 && !std::ranges::binary_search(full_blocks, block);
}

bool HasVision(const format::Json& config) {
  const auto vision = config.is_object() ? config.find("vision_config") : config.end();
  return vision != config.end() && vision->is_object();
}

Result<VisionShape> ReadVision(const format::Json& config, std::string_view what) {
  if (!HasVision(config)) {
    return InvalidArgument(std::string(what) +
                           " has no object 'vision_config': the model does not see");
  }
  const std::string vision_what = std::string(what) + ".vision_config";
  TYLLM_ASSIGN(const VisionConfig vision,
               format::FromJson<VisionConfig>(config.at("vision_config"), vision_what,
                                              format::UnknownKeys::kIgnore));
  const std::string type = vision.model_type.empty() ? TypeOfModel(config) : vision.model_type;
  for (const VisionKind& kind : kVisionKinds) {
    if (std::ranges::count(kind.model_types, type) != 0) {
      TYLLM_ASSIGN(VisionShape shape, ShapeOf(vision, kind, vision_what));
      TYLLM_TRY(ReadTokens(config, what, shape));
      TYLLM_ASSIGN(shape.rope_axes, ReadRopeAxes(config, kind.interleaved, what));
      return shape;
    }
  }
  return Unimplemented(vision_what + ".model_type is '" + type.substr(0, 80) +
                       "', known are towers of qwen2_vl, qwen2_5_vl and qwen3_vl");
}

}  // namespace tyllm::model
