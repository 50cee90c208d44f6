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

/// That the processor would bring an image to the size that a program takes.
Status CheckExact(const Size& natural, const FixedSize& fixed) {
  if (!fixed.exact || natural == fixed.size) {
    return OkStatus();
  }
  return InvalidArgument(
      "the processor makes " + std::to_string(natural.width) + " x " +
      std::to_string(natural.height) + " pixels of it, and the model was compiled for " +
      std::to_string(fixed.size.width) + " x " + std::to_string(fixed.size.height) +
      "; let it be resized, or compile for its size");
}

Result<LoadedMedium> LoadImage(const Path& model, const model::VisionShape& shape,
                               const Medium& medium, const std::optional<FixedSize>& fixed) {
  TYLLM_ASSIGN(const Processor processor, ImageProcessorOf(model, shape));
  TYLLM_ASSIGN(const Image image, ReadImage(medium.path));
  if (!fixed) {
    TYLLM_ASSIGN(Patches patches, ProcessImage(processor, image));
    return LoadedMedium{{.grid = patches.grid}, std::move(patches.values), {}};
  }
  if (fixed->exact) {
    TYLLM_ASSIGN(const Size natural, ProcessedSize(processor, {image.width, image.height}));
    TYLLM_TRY(CheckExact(natural, *fixed));
  }
  TYLLM_ASSIGN(Patches patches, ProcessAtSize(processor, {&image, 1}, fixed->size));
  return LoadedMedium{{.grid = patches.grid}, std::move(patches.values), {}};
}

/// `count` frames at equal distances from the first to the last.
Video FramesAtEqualDistances(const Video& video, std::int64_t count) {
  const auto total = std::ssize(video.frames);
  Video chosen;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(
        count == 1 ? 0 : (i * (total - 1) + (count - 1) / 2) / (count - 1));
    chosen.frames.push_back(video.frames[at]);
    chosen.seconds.push_back(video.seconds[at]);
  }
  return chosen;
}

/// How long a grid lasts: as the processor samples, unless other frames were chosen.
double SecondsPerGrid(const Processor& processor, const Video& video, bool chosen) {
  const auto frames = static_cast<double>(video.seconds.size());
  const double frame = chosen && video.seconds.back() > 0 ? video.seconds.back() / (frames - 1)
                                                          : 1.0 / processor.frames_per_second;
  return static_cast<double>(processor.temporal_patch) * frame;
}

Result<LoadedMedium> LoadVideo(const Path& model, const model::VisionShape& shape,
                               const Medium& medium, const std::optional<FixedSize>& fixed) {
  TYLLM_ASSIGN(const Processor processor, VideoProcessorOf(model, shape));
  TYLLM_ASSIGN(Video video, ReadVideo(medium.path, processor, medium.frames_per_second));
  const bool choose = fixed && std::ssize(video.frames) != fixed->frames;
  if (choose) {
    video = FramesAtEqualDistances(video, fixed->frames);
  }
  if (fixed && fixed->exact) {
    TYLLM_ASSIGN(
        const Size natural,
        ProcessedVideoSize(processor, {video.frames.front().width, video.frames.front().height},
                           std::ssize(video.frames)));
    TYLLM_TRY(CheckExact(natural, *fixed));
  }
  TYLLM_ASSIGN(Patches patches, fixed ? ProcessAtSize(processor, video.frames, fixed->size)
                                      : ProcessVideo(processor, video.frames));
  return LoadedMedium{{.grid = patches.grid,
                       .is_video = true,
                       .seconds_per_grid = SecondsPerGrid(processor, video, choose)},
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
                                const Medium& medium, const std::optional<FixedSize>& fixed) {
  Result<LoadedMedium> loaded = medium.is_video ? LoadVideo(model, shape, medium, fixed)
                                                : LoadImage(model, shape, medium, fixed);
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
