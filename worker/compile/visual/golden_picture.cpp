// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/visual/golden_picture.h"

#include <algorithm>

#include "common/format/float16.h"
#include "worker/artifact/visual_layout.h"
#include "worker/compile/golden.h"
#include "worker/compile/tokenizer_files.h"
#include "worker/vision/medium.h"
#include "worker/vision/video.h"

namespace tyllm::compile {

namespace {

constexpr std::int64_t kGreedy = 6;
/// Logits that are kept.
constexpr std::int64_t kLogits = std::int64_t{1} << 20;

/// A sky, a field, a house and a sun that rises from frame to frame.
vision::Image Draw(std::int64_t width, std::int64_t height, std::int64_t frame) {
  vision::Image image;
  image.width = width;
  image.height = height;
  image.rgb.resize(static_cast<std::size_t>(width * height * 3));
  const std::int64_t horizon = height * 2 / 3;
  const std::int64_t sun_x = width / 5 + frame * width / 40;
  const std::int64_t sun_y = horizon / 2 - frame * height / 60;
  const std::int64_t radius = std::max<std::int64_t>(2, std::min(width, height) / 8);
  const auto set = [&](std::int64_t x, std::int64_t y, std::int64_t r, std::int64_t g,
                       std::int64_t b) {
    std::uint8_t* const pixel = image.rgb.data() + (y * width + x) * 3;
    const std::int64_t colour[] = {r, g, b};
    for (std::size_t c = 0; c < 3; ++c) {
      pixel[c] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(colour[c], 0, 255));
    }
  };
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t dx = x - sun_x;
      const std::int64_t dy = y - sun_y;
      const bool house = x > width / 2 && x < width * 3 / 4 && y > height / 2 && y < height * 4 / 5;
      if (house) {
        set(x, y, 170 + (x * 7 + y * 3) % 20, 60, 50);
      } else if (dx * dx + dy * dy < radius * radius) {
        set(x, y, 250, 220, 80);
      } else if (y < horizon) {
        set(x, y, 90 + 100 * y / horizon, 150 + 60 * y / horizon, 240);
      } else {
        set(x, y, 60 + (x * 13 + y * 7) % 40, 140 - 60 * (y - horizon) / (height - horizon), 50);
      }
    }
  }
  return image;
}

/// The picture as the model's processor would give it, in numbers of binary16.
Result<vision::LoadedMedium> Drawn(const forward::Model& model, const TowerPlan& plan) {
  const artifact::VisualConfig& config = plan.config;
  const model::VisionShape& shape = plan.tower.shape;
  const bool is_video = config.modality == domain::Modality::kVideo;
  const Path& directory = model.checkpoint.directory();
  TYLLM_ASSIGN(const vision::Processor processor, is_video
                                                      ? vision::VideoProcessorOf(directory, shape)
                                                      : vision::ImageProcessorOf(directory, shape));
  vision::Video film;
  for (std::int64_t frame = 0; frame < config.frames; ++frame) {
    film.frames.push_back(Draw(config.width, config.height, frame));
    film.seconds.push_back(static_cast<double>(frame) / processor.frames_per_second);
  }
  TYLLM_ASSIGN(vision::Patches patches,
               vision::ProcessAtSize(processor, film.frames, {config.width, config.height}));
  for (std::int64_t r = 0; r < patches.values.rows(); ++r) {
    for (float& number : patches.values.row(r)) {
      number = format::HalfToFloat(format::FloatToHalf(number));
    }
  }
  return vision::LoadedMedium{
      {.grid = patches.grid,
       .is_video = is_video,
       .seconds_per_grid =
           static_cast<double>(processor.temporal_patch) / processor.frames_per_second},
      std::move(patches.values),
      is_video ? vision::GridSeconds(film, shape.temporal_patch) : std::vector<double>()};
}

/// A token of the text that means nothing.
std::int32_t AnyToken(const model::VisionShape& shape, std::int64_t number,
                      std::int64_t vocabulary) {
  auto id = static_cast<std::int32_t>((number * 37 + 11) % vocabulary);
  while (id == shape.image_token || id == shape.video_token || id == shape.vision_start ||
         id == shape.vision_end) {
    id = static_cast<std::int32_t>((id + 1) % vocabulary);
  }
  return id;
}

/// A question without words: one placeholder for each run of tokens.
std::vector<std::int32_t> WordlessQuestion(const model::VisionShape& shape,
                                           const vision::LoadedMedium& medium,
                                           std::int64_t vocabulary) {
  const bool apart = medium.item.is_video && shape.video_time == model::VideoTime::kApart;
  const std::int64_t runs = apart ? medium.item.grid.frames : 1;
  std::vector<std::int32_t> ids{AnyToken(shape, 0, vocabulary)};
  for (std::int64_t run = 0; run < runs; ++run) {
    ids.push_back(AnyToken(shape, 1 + run, vocabulary));
    ids.insert(ids.end(),
               {shape.vision_start, medium.item.is_video ? shape.video_token : shape.image_token,
                shape.vision_end});
  }
  for (std::int64_t i = 0; i < 8; ++i) {
    ids.push_back(AnyToken(shape, 100 + i, vocabulary));
  }
  return ids;
}

Result<std::vector<std::int32_t>> Question(const forward::Model& model,
                                           const model::VisionShape& shape,
                                           const vision::LoadedMedium& medium) {
  const Path& directory = model.checkpoint.directory();
  const std::int64_t vocabulary = model.shape().vocabulary;
  TYLLM_ASSIGN(const std::optional<model::Tokenizer> tokenizer, LoadTokenizer(directory));
  if (!tokenizer) {
    return WordlessQuestion(shape, medium, vocabulary);
  }
  TYLLM_ASSIGN(const vision::VisualSpelling spelling,
               vision::SpellingOf(
                   shape, [&](std::int32_t id) { return std::string(tokenizer->BytesOf(id)); }));
  return EncodeFor(
      *tokenizer,
      vision::PromptText(shape, spelling, std::span(&medium, 1)) + std::string(kGoldenQuestion),
      vocabulary, directory);
}

}  // namespace

Status WriteVisualGolden(FileSystem& files, const forward::Model& model, const TowerPlan& plan,
                         std::int64_t max_kv, int jobs, const Path& root,
                         domain::ProgressSink& progress) {
  const model::VisionShape& shape = plan.tower.shape;
  simulator::VisualGolden golden;
  TYLLM_ASSIGN(vision::LoadedMedium medium, Drawn(model, plan));
  TYLLM_ASSIGN(const std::vector<std::int32_t> ids, Question(model, shape, medium));
  TYLLM_ASSIGN(golden.tokens, vision::ExpandPlaceholders(shape, ids, std::span(&medium, 1)));
  golden.item = medium.item;
  golden.pixels = std::move(medium.patches);
  const auto tokens = std::ssize(golden.tokens);
  if (tokens + 1 > max_kv) {
    return InvalidArgument("a prompt with one image has " + std::to_string(tokens) +
                           " tokens, --max-kv is " + std::to_string(max_kv) +
                           "; compile for smaller images or a larger cache");
  }
  const std::int64_t rows = std::clamp<std::int64_t>(kLogits / model.shape().vocabulary, 1, tokens);
  const std::unique_ptr<tensor::Backend> backend = tensor::MakeSteadyBackend(jobs);
  TYLLM_TRY(simulator::ComputeVisualGolden(
      model, plan.tower, rows, std::min(kGreedy, max_kv - tokens), *backend, progress, golden));
  return simulator::WriteVisualGolden(files, root / artifact::kVisualGoldenFile, golden);
}

}  // namespace tyllm::compile
