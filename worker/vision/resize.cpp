// SPDX-License-Identifier: Apache-2.0
#include "worker/vision/resize.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace tyllm::vision {

namespace {

constexpr double kSupport = 2.0;  ///< of the cubic kernel, in samples
constexpr int kFractionBits = 32 - 8 - 2;

double Cubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1.0) {
    return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1.0;
  }
  return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * kA : 0.0;
}

/// The samples that make one of the result, and how much of each in fixed point.
struct Taps {
  std::int64_t first = 0;
  std::vector<std::int32_t> weights;
};

std::vector<Taps> TapsFor(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double widening = std::max(1.0, scale);
  std::vector<Taps> taps(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first =
        std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - kSupport * widening + 0.5));
    const auto last =
        std::min<std::int64_t>(from, static_cast<std::int64_t>(centre + kSupport * widening + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t x = first; x < last; ++x) {
      weights.push_back(Cubic((static_cast<double>(x) - centre + 0.5) / widening));
      sum += weights.back();
    }
    Taps& made = taps[static_cast<std::size_t>(i)];
    made.first = first;
    for (const double weight : weights) {
      const double fixed = weight / sum * (1 << kFractionBits);
      made.weights.push_back(static_cast<std::int32_t>(fixed + (fixed < 0 ? -0.5 : 0.5)));
    }
  }
  return taps;
}

std::uint8_t Rounded(std::int64_t fixed) {
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(fixed >> kFractionBits, 0, 255));
}

/// Each pixel of `out` from pixels of `image` that lie `step` numbers apart.
void Mix(const std::uint8_t* from, std::int64_t step, const Taps& taps, std::uint8_t* out) {
  std::int64_t sums[3];
  std::fill_n(sums, 3, std::int64_t{1} << (kFractionBits - 1));
  const std::uint8_t* pixel = from + taps.first * step;
  for (const std::int32_t weight : taps.weights) {
    for (int c = 0; c < 3; ++c) {
      sums[c] += std::int64_t{weight} * pixel[c];
    }
    pixel += step;
  }
  for (int c = 0; c < 3; ++c) {
    out[c] = Rounded(sums[c]);
  }
}

Image ResizeRows(const Image& image, std::int64_t width) {
  const std::vector<Taps> taps = TapsFor(image.width, width);
  Image out{width, image.height, {}};
  out.rgb.resize(static_cast<std::size_t>(width * image.height * 3));
  for (std::int64_t y = 0; y < out.height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      Mix(image.rgb.data() + y * image.width * 3, 3, taps[static_cast<std::size_t>(x)],
          out.rgb.data() + (y * width + x) * 3);
    }
  }
  return out;
}

Image ResizeColumns(const Image& image, std::int64_t height) {
  const std::vector<Taps> taps = TapsFor(image.height, height);
  Image out{image.width, height, {}};
  out.rgb.resize(static_cast<std::size_t>(image.width * height * 3));
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < out.width; ++x) {
      Mix(image.rgb.data() + x * 3, image.width * 3, taps[static_cast<std::size_t>(y)],
          out.rgb.data() + (y * out.width + x) * 3);
    }
  }
  return out;
}

Status CheckProportions(const Size& size) {
  constexpr double kMost = 200;
  const auto longer = static_cast<double>(std::max(size.width, size.height));
  const auto shorter = static_cast<double>(std::min(size.width, size.height));
  if (shorter >= 1 && longer / shorter <= kMost) {
    return OkStatus();
  }
  return InvalidArgument("an image of " + std::to_string(size.width) + " x " +
                         std::to_string(size.height) +
                         " pixels is longer than 200 times its other side");
}

/// Both sizes count pixels of all frames; `frames` is 1 for an image. Source: smart_resize of
/// transformers' image_processing_qwen2_vl.py and video_processing_qwen3_vl.py.
Result<Size> Fit(const Size& size, double frames, double whole_frames, const PixelLimits& limits) {
  TYLLM_TRY(CheckProportions(size));
  const auto factor = static_cast<double>(limits.factor);
  const auto width = static_cast<double>(size.width);
  const auto height = static_cast<double>(size.height);
  const auto whole = [&](double w, double h) {
    return Size{static_cast<std::int64_t>(w) * limits.factor,
                static_cast<std::int64_t>(h) * limits.factor};
  };
  const auto at_least_one = [&](const Size& made) {
    return Size{std::max(limits.factor, made.width), std::max(limits.factor, made.height)};
  };
  // A side may round to nothing: then there are too few pixels.
  const Size near = whole(std::nearbyint(width / factor), std::nearbyint(height / factor));
  const double pixels = whole_frames * static_cast<double>(near.width * near.height);
  if (pixels > static_cast<double>(limits.most)) {
    const double shrink = std::sqrt(frames * width * height / static_cast<double>(limits.most));
    return at_least_one(
        whole(std::floor(width / shrink / factor), std::floor(height / shrink / factor)));
  }
  if (pixels < static_cast<double>(limits.fewest)) {
    const double grow = std::sqrt(static_cast<double>(limits.fewest) / (frames * width * height));
    return whole(std::ceil(width * grow / factor), std::ceil(height * grow / factor));
  }
  return at_least_one(near);
}

/// A video whose sides are not both a token long is taken as enlarged until they are.
Size AtLeastOneToken(const Size& size, std::int64_t factor) {
  if (size.height >= factor && size.width >= factor) {
    return size;
  }
  const double scale = std::max(static_cast<double>(factor) / static_cast<double>(size.height),
                                static_cast<double>(factor) / static_cast<double>(size.width));
  return {static_cast<std::int64_t>(static_cast<double>(size.width) * scale),
          static_cast<std::int64_t>(static_cast<double>(size.height) * scale)};
}

}  // namespace

Image Resize(const Image& image, std::int64_t width, std::int64_t height) {
  const bool rows = width != image.width;
  const bool columns = height != image.height;
  if (!rows) {
    return columns ? ResizeColumns(image, height) : image;
  }
  const Image wide = ResizeRows(image, width);
  return columns ? ResizeColumns(wide, height) : wide;
}

Result<Size> SmartSize(const Size& size, const PixelLimits& limits) {
  return Fit(size, 1, 1, limits);
}

Result<Size> SmartVideoSize(const Size& size, std::int64_t frames, std::int64_t temporal_patch,
                            const PixelLimits& limits) {
  TYLLM_TRY(CheckProportions(size));
  const std::int64_t whole = (frames + temporal_patch - 1) / temporal_patch * temporal_patch;
  return Fit(AtLeastOneToken(size, limits.factor), static_cast<double>(frames),
             static_cast<double>(whole), limits);
}

}  // namespace tyllm::vision
