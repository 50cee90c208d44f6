// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/enum_table.h"
#include "common/format/json.h"

namespace tyllm::domain {

/// What the visual tower of a compiled model looks at.
enum class Modality : std::uint8_t { kImage, kVideo };

inline constexpr EnumTable<Modality, 2> kModalityNames("modality", {{{Modality::kImage, "image"},
                                                                     {Modality::kVideo, "video"}}});

constexpr const auto& NamesOf(Modality) {
  return kModalityNames;
}

/// Width and height in pixels.
struct ImageSize {
  std::int64_t width = 0;
  std::int64_t height = 0;

  bool operator==(const ImageSize&) const = default;
};

/// "960x540". kInvalidArgument tells the form that is expected, and the largest side.
Result<ImageSize> ParseImageSize(std::string_view text);

/// How a visual language model is compiled; text models do not look at it.
struct VisualOptions {
  std::string image = "960x540";  ///< size of the images, width x height
  Modality modality = Modality::kImage;
  std::int64_t frames = 10;                ///< of a video
  std::vector<std::int64_t> vm_die_remap;  ///< empty, or exactly 16 numbers
  bool text_only = false;                  ///< the language model alone

  bool operator==(const VisualOptions&) const = default;
};

Status CheckFrames(const VisualOptions& options);
/// What is wrong with the values themselves; die remaps are looked at with the other options.
Status Check(const VisualOptions& options);

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::VisualOptions> {
  using O = tyllm::domain::VisualOptions;
  static constexpr auto kTable = std::tuple{
      Member{"image", &O::image},         Member{"modality", &O::modality},
      Member{"frames", &O::frames},       Member{"vm_die_remap", &O::vm_die_remap},
      Member{"text_only", &O::text_only},
  };
};
