// SPDX-License-Identifier: Apache-2.0
#include "worker/vision/processor_config.h"

#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

namespace tyllm::vision {

namespace {

struct SizeKeys {
  std::optional<std::int64_t> shortest_edge;  ///< number of pixels, other than it says
  std::optional<std::int64_t> longest_edge;
  std::optional<std::int64_t> min_pixels;
  std::optional<std::int64_t> max_pixels;
  std::optional<std::int64_t> height;
  std::optional<std::int64_t> width;
};

/// The files' keys, those that matter here.
struct ProcessorKeys {
  std::optional<std::int64_t> patch_size;
  std::optional<std::int64_t> temporal_patch_size;
  std::optional<std::int64_t> merge_size;
  std::optional<std::int64_t> min_pixels;
  std::optional<std::int64_t> max_pixels;
  std::optional<SizeKeys> size;
  std::optional<bool> do_resize;
  std::optional<bool> do_rescale;
  std::optional<bool> do_normalize;
  std::optional<std::int64_t> resample;
  std::optional<double> rescale_factor;
  std::optional<std::vector<double>> image_mean;
  std::optional<std::vector<double>> image_std;
  std::optional<double> fps;
  std::optional<std::int64_t> min_frames;
  std::optional<std::int64_t> max_frames;
};

}  // namespace

}  // namespace tyllm::vision

template <>
struct tyllm::format::Members<tyllm::vision::SizeKeys> {
  using S = tyllm::vision::SizeKeys;
  static constexpr auto kTable = std::tuple{Member{"shortest_edge", &S::shortest_edge},
                                            Member{"longest_edge", &S::longest_edge},
                                            Member{"min_pixels", &S::min_pixels},
                                            Member{"max_pixels", &S::max_pixels},
                                            Member{"height", &S::height},
                                            Member{"width", &S::width}};
};

template <>
struct tyllm::format::Members<tyllm::vision::ProcessorKeys> {
  using P = tyllm::vision::ProcessorKeys;
  static constexpr auto kTable = std::tuple{
      Member{"patch_size", &P::patch_size},
      Member{"temporal_patch_size", &P::temporal_patch_size},
      Member{"merge_size", &P::merge_size},
      Member{"min_pixels", &P::min_pixels},
      Member{"max_pixels", &P::max_pixels},
      Member{"size", &P::size},
      Member{"do_resize", &P::do_resize},
      Member{"do_rescale", &P::do_rescale},
      Member{"do_normalize", &P::do_normalize},
      Member{"resample", &P::resample},
      Member{"rescale_factor", &P::rescale_factor},
      Member{"image_mean", &P::image_mean},
      Member{"image_std", &P::image_std},
      Member{"fps", &P::fps},
      Member{"min_frames", &P::min_frames},
      Member{"max_frames", &P::max_frames},
  };
};

namespace tyllm::vision {

namespace {

constexpr std::int64_t kBicubic = 3;  // PIL.Image.Resampling
constexpr std::array kClipMean{0.48145466, 0.4578275, 0.40821073};
constexpr std::array kClipStd{0.26862954, 0.26130258, 0.27577711};

std::string Key(std::string_view what, std::string_view key) {
  return std::string(what) + "." + std::string(key);
}

/// What transformers' processors take where a file says nothing; pixels of Qwen3-VL's larger
/// tokens are four thirds squared as many.
struct Defaults {
  std::int64_t fewest_pixels = 0;
  std::int64_t most_pixels = 0;
  std::array<double, 3> mean{};
  std::array<double, 3> std{};
};

Defaults DefaultsFor(const model::VisionShape& shape, bool is_video) {
  const std::int64_t token = shape.patch * shape.merge * shape.patch * shape.merge;
  const bool apart = shape.video_time == model::VideoTime::kApart;
  Defaults defaults;
  defaults.fewest_pixels = (is_video ? 128 : 4) * token;
  defaults.most_pixels = (is_video ? 768 : 1280) * token;
  if (!is_video && !apart) {
    defaults.fewest_pixels = 56 * 56;
  }
  defaults.mean = apart ? std::array{0.5, 0.5, 0.5} : kClipMean;
  defaults.std = apart ? std::array{0.5, 0.5, 0.5} : kClipStd;
  return defaults;
}

Status CheckSame(std::string_view what, std::string_view key, std::int64_t found,
                 std::int64_t expected) {
  if (found == expected) {
    return OkStatus();
  }
  return InvalidArgument(Key(what, key) + " is " + std::to_string(found) +
                         ", but the model's vision_config has " + std::to_string(expected) +
                         "; take the file of the original model");
}

Status CheckModel(const Processor& processor, const model::VisionShape& shape,
                  std::string_view what) {
  TYLLM_TRY(CheckSame(what, "patch_size", processor.patch, shape.patch));
  TYLLM_TRY(CheckSame(what, "temporal_patch_size", processor.temporal_patch, shape.temporal_patch));
  TYLLM_TRY(CheckSame(what, "merge_size", processor.merge, shape.merge));
  if (shape.channels != 3) {
    return Unimplemented(std::string(what) + ": the model sees images of " +
                         std::to_string(shape.channels) + " channels, supported are 3");
  }
  return OkStatus();
}

/// The first that is there.
std::int64_t FirstOf(std::initializer_list<std::optional<std::int64_t>> numbers,
                     std::int64_t otherwise) {
  for (const std::optional<std::int64_t>& number : numbers) {
    if (number) {
      return *number;
    }
  }
  return otherwise;
}

/// min_pixels and max_pixels override `size`, but in Qwen3-VL's processor of videos, which takes
/// no notice of them. Source: transformers, image_processing_qwen2_vl_fast.py,
/// video_processing_qwen2_vl.py and video_processing_qwen3_vl.py.
Status ReadLimits(const ProcessorKeys& keys, std::string_view what, Processor& processor) {
  const SizeKeys size = keys.size.value_or(SizeKeys());
  if (size.height || size.width) {
    return Unimplemented(Key(what, "size") + " has " + (size.height ? "'height'" : "'width'") +
                         ", supported are 'shortest_edge' and 'longest_edge', the fewest and the "
                         "most pixels; take the file of the original model");
  }
  const std::optional<std::int64_t> fewest =
      size.shortest_edge ? size.shortest_edge : size.min_pixels;
  const std::optional<std::int64_t> most = size.longest_edge ? size.longest_edge : size.max_pixels;
  const bool size_first = processor.limits_all_frames;
  processor.fewest_pixels = size_first
                                ? FirstOf({fewest, keys.min_pixels}, processor.fewest_pixels)
                                : FirstOf({keys.min_pixels, fewest}, processor.fewest_pixels);
  processor.most_pixels = size_first ? FirstOf({most, keys.max_pixels}, processor.most_pixels)
                                     : FirstOf({keys.max_pixels, most}, processor.most_pixels);
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  if (processor.fewest_pixels < 0 || processor.most_pixels > kMost ||
      processor.most_pixels < processor.factor() * processor.factor() ||
      processor.fewest_pixels > processor.most_pixels) {
    return InvalidArgument(std::string(what) + " allows " +
                           std::to_string(processor.fewest_pixels) + " to " +
                           std::to_string(processor.most_pixels) +
                           " pixels (size, or min_pixels and max_pixels), expected a range of "
                           "at least one token");
  }
  return OkStatus();
}

/// Three numbers of the file, or those that stand in for it.
Result<std::array<double, 3>> ReadColours(const std::optional<std::vector<double>>& numbers,
                                          const std::array<double, 3>& otherwise,
                                          std::string_view what) {
  if (!numbers) {
    return otherwise;
  }
  if (numbers->size() != 3) {
    return InvalidArgument(std::string(what) + " has " + std::to_string(numbers->size()) +
                           " numbers, expected one for each of red, green and blue");
  }
  return std::array{(*numbers)[0], (*numbers)[1], (*numbers)[2]};
}

Status ReadColourScale(const ProcessorKeys& keys, const Defaults& defaults, std::string_view what,
                       Processor& processor) {
  TYLLM_ASSIGN(const auto mean,
               ReadColours(keys.image_mean, defaults.mean, Key(what, "image_mean")));
  TYLLM_ASSIGN(const auto std, ReadColours(keys.image_std, defaults.std, Key(what, "image_std")));
  const double rescale =
      keys.do_rescale.value_or(true) ? keys.rescale_factor.value_or(1.0 / 255.0) : 1.0;
  const bool normalize = keys.do_normalize.value_or(true);
  for (std::size_t c = 0; c < 3; ++c) {
    processor.scale[c] = rescale / (normalize ? std[c] : 1.0);
    processor.shift[c] = normalize ? -mean[c] / std[c] : 0.0;
    if (!std::isfinite(processor.scale[c]) || !std::isfinite(processor.shift[c])) {
      return InvalidArgument(std::string(what) +
                             ": image_mean, image_std and rescale_factor give no finite numbers");
    }
  }
  return OkStatus();
}

Status ReadFrames(const ProcessorKeys& keys, std::string_view what, Processor& processor) {
  processor.frames_per_second = keys.fps.value_or(processor.frames_per_second);
  processor.fewest_frames = keys.min_frames.value_or(processor.fewest_frames);
  processor.most_frames = keys.max_frames.value_or(processor.most_frames);
  constexpr std::int64_t kMost = 100000;
  if (!(processor.frames_per_second > 0 && processor.frames_per_second <= 1000) ||
      processor.fewest_frames < 1 || processor.most_frames > kMost ||
      processor.fewest_frames > processor.most_frames) {
    return InvalidArgument(std::string(what) + " samples " +
                           std::to_string(processor.frames_per_second) + " frames a second, " +
                           std::to_string(processor.fewest_frames) + " to " +
                           std::to_string(processor.most_frames) +
                           " in all (fps, min_frames, max_frames); expected more than 0 and a "
                           "range of 1 to " +
                           std::to_string(kMost));
  }
  return OkStatus();
}

Result<Processor> Read(const format::Json& json, const model::VisionShape& shape,
                       std::string_view what, bool is_video) {
  TYLLM_ASSIGN(const ProcessorKeys keys,
               format::FromJson<ProcessorKeys>(json, what, format::UnknownKeys::kIgnore));
  const Defaults defaults = DefaultsFor(shape, is_video);
  Processor processor;
  processor.patch = keys.patch_size.value_or(shape.patch);
  processor.temporal_patch = keys.temporal_patch_size.value_or(shape.temporal_patch);
  processor.merge = keys.merge_size.value_or(shape.merge);
  processor.fewest_pixels = defaults.fewest_pixels;
  processor.most_pixels = defaults.most_pixels;
  processor.resize = keys.do_resize.value_or(true);
  processor.limits_all_frames = is_video && shape.video_time == model::VideoTime::kApart;
  TYLLM_TRY(CheckModel(processor, shape, what));
  TYLLM_TRY(ReadLimits(keys, what, processor));
  TYLLM_TRY(ReadColourScale(keys, defaults, what, processor));
  TYLLM_TRY(ReadFrames(keys, what, processor));
  if (keys.resample.value_or(kBicubic) != kBicubic) {
    return Unimplemented(Key(what, "resample") + " is " + std::to_string(*keys.resample) +
                         ", supported is 3 (bicubic)");
  }
  return processor;
}

}  // namespace

Result<Processor> ReadImageProcessor(const format::Json& json, const model::VisionShape& shape,
                                     std::string_view what) {
  return Read(json, shape, what, false);
}

Result<Processor> ReadVideoProcessor(const format::Json& json, const model::VisionShape& shape,
                                     std::string_view what) {
  return Read(json, shape, what, true);
}

Result<Processor> ImageProcessorOf(const Path& model, const model::VisionShape& shape) {
  const Path path = model / kImageProcessorFile;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return NotFound(path.string() +
                    " is missing, and says how images become patches; copy it from the original "
                    "model");
  }
  TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(path));
  return ReadImageProcessor(json, shape, path.string());
}

Result<Processor> VideoProcessorOf(const Path& model, const model::VisionShape& shape) {
  const Path path = model / kVideoProcessorFile;
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) {
    TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(path));
    return ReadVideoProcessor(json, shape, path.string());
  }
  TYLLM_ASSIGN(Processor processor, ImageProcessorOf(model, shape));
  processor.limits_all_frames = shape.video_time == model::VideoTime::kApart;
  return processor;
}

}  // namespace tyllm::vision
