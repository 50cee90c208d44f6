// SPDX-License-Identifier: Apache-2.0
#include "worker/vision/medium.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "worker/vision/video.h"

namespace tyllm::vision {

namespace {

using model::VideoTime;

bool StandsApart(const model::VisionShape& shape, const LoadedMedium& medium) {
  return medium.item.is_video && shape.video_time == VideoTime::kApart;
}

/// Tokens of each run that the media have in a text.
std::vector<std::int64_t> RunLengths(const model::VisionShape& shape,
                                     std::span<const LoadedMedium> media) {
  std::vector<std::int64_t> lengths;
  for (const LoadedMedium& medium : media) {
    const std::int64_t runs = StandsApart(shape, medium) ? medium.item.grid.frames : 1;
    lengths.insert(lengths.end(), static_cast<std::size_t>(runs),
                   medium.item.grid.patches() / shape.unit() / runs);
  }
  return lengths;
}

Result<LoadedMedium> LoadImage(const Path& model, const model::VisionShape& shape,
                               const Medium& medium, const std::optional<Size>& size) {
  TYLLM_ASSIGN(const Processor processor, ImageProcessorOf(model, shape));
  TYLLM_ASSIGN(const Image image, ReadImage(medium.path));
  TYLLM_ASSIGN(Patches patches, size ? ProcessAtSize(processor, {&image, 1}, *size)
                                     : ProcessImage(processor, image));
  return LoadedMedium{{.grid = patches.grid}, std::move(patches.values), {}};
}

Result<LoadedMedium> LoadVideo(const Path& model, const model::VisionShape& shape,
                               const Medium& medium, const std::optional<Size>& size) {
  TYLLM_ASSIGN(const Processor processor, VideoProcessorOf(model, shape));
  TYLLM_ASSIGN(const Video video, ReadVideo(medium.path, processor, medium.frames_per_second));
  TYLLM_ASSIGN(Patches patches, size ? ProcessAtSize(processor, video.frames, *size)
                                     : ProcessVideo(processor, video.frames));
  return LoadedMedium{{.grid = patches.grid,
                       .is_video = true,
                       .seconds_per_grid = static_cast<double>(processor.temporal_patch) /
                                           processor.frames_per_second},
                      std::move(patches.values),
                      GridSeconds(video, processor.temporal_patch)};
}

std::string SecondsText(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "<%.1f seconds>", seconds);
  return text.data();
}

}  // namespace

Result<LoadedMedium> LoadMedium(const Path& model, const model::VisionShape& shape,
                                const Medium& medium, const std::optional<Size>& size) {
  Result<LoadedMedium> loaded = medium.is_video ? LoadVideo(model, shape, medium, size)
                                                : LoadImage(model, shape, medium, size);
  if (!loaded.ok()) {
    return loaded.status().Annotate(medium.path.string());
  }
  TYLLM_TRY(model::CheckGrid(shape, loaded->item.grid, medium.path.string()));
  return loaded;
}

Result<VisualSpelling> SpellingOf(const model::VisionShape& shape,
                                  const std::function<std::string(std::int32_t)>& spell) {
  VisualSpelling spelling{spell(shape.vision_start), spell(shape.vision_end),
                          spell(shape.image_token), spell(shape.video_token)};
  for (const std::string* const text :
       {&spelling.start, &spelling.end, &spelling.image, &spelling.video}) {
    if (text->empty()) {
      return FailedPrecondition(
          "the tokenizer has not all of the tokens " + std::to_string(shape.vision_start) + ", " +
          std::to_string(shape.vision_end) + ", " + std::to_string(shape.image_token) + " and " +
          std::to_string(shape.video_token) +
          " that config.json names for images; take tokenizer.json of the original model");
    }
  }
  return spelling;
}

std::string PromptText(const model::VisionShape& shape, const VisualSpelling& spelling,
                       std::span<const LoadedMedium> media) {
  std::string text;
  for (const LoadedMedium& medium : media) {
    const std::string& pad = medium.item.is_video ? spelling.video : spelling.image;
    if (!StandsApart(shape, medium)) {
      text += spelling.start + pad + spelling.end;
      continue;
    }
    for (const double seconds : medium.grid_seconds) {
      text += SecondsText(seconds) + spelling.start + pad + spelling.end;
    }
  }
  return text;
}

Result<std::vector<std::int32_t>> ExpandPlaceholders(const model::VisionShape& shape,
                                                     std::span<const std::int32_t> ids,
                                                     std::span<const LoadedMedium> media) {
  const auto is_visual = [&](std::int32_t id) {
    return id == shape.image_token || id == shape.video_token;
  };
  const std::vector<std::int64_t> lengths = RunLengths(shape, media);
  const std::int64_t found = std::ranges::count_if(ids, is_visual);
  std::int64_t all = 0;
  for (const std::int64_t length : lengths) {
    all += length;
  }
  if (found == all) {
    return std::vector<std::int32_t>(ids.begin(), ids.end());
  }
  if (found != std::ssize(lengths)) {
    return InvalidArgument("the text has " + std::to_string(found) +
                           " tokens that stand for images or videos, expected " +
                           std::to_string(lengths.size()) + " (one for each) or " +
                           std::to_string(all) + " (one for each part)");
  }
  std::vector<std::int32_t> expanded;
  std::size_t run = 0;
  for (const std::int32_t id : ids) {
    expanded.insert(expanded.end(),
                    is_visual(id) ? static_cast<std::size_t>(lengths[run++]) : std::size_t{1}, id);
  }
  return expanded;
}

}  // namespace tyllm::vision
