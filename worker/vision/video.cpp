// SPDX-License-Identifier: Apache-2.0
#include "worker/vision/video.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <string>

#include "worker/vision/video_file.h"

namespace tyllm::vision {

namespace {

namespace fs = std::filesystem;

bool IsImageName(const Path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<std::string_view, 4> kExtensions{".png", ".jpg", ".jpeg", ".webp"};
  return std::ranges::find(kExtensions, extension) != kExtensions.end();
}

/// "frame10" after "frame9": runs of digits are compared as numbers.
bool StandsBefore(const std::string& a, const std::string& b) {
  std::size_t i = 0;
  std::size_t j = 0;
  const auto digits = [](const std::string& text, std::size_t at) {
    std::size_t end = at;
    while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end])) != 0) {
      ++end;
    }
    const std::size_t first = std::min(text.find_first_not_of('0', at), end);
    return std::pair(text.substr(first, end - first), end);
  };
  while (i < a.size() && j < b.size()) {
    const auto [a_number, a_end] = digits(a, i);
    const auto [b_number, b_end] = digits(b, j);
    if (a_end > i && b_end > j) {
      if (a_number != b_number) {
        return a_number.size() != b_number.size() ? a_number.size() < b_number.size()
                                                  : a_number < b_number;
      }
      i = a_end;
      j = b_end;
    } else if (a[i] != b[j]) {
      return a[i] < b[j];
    } else {
      ++i;
      ++j;
    }
  }
  return a.size() - i < b.size() - j;
}

Result<std::vector<Path>> FrameFiles(const Path& folder) {
  std::vector<Path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error) && IsImageName(it->path())) {
      files.push_back(it->path());
    }
  }
  if (error) {
    return InvalidArgument("video " + folder.string() + " cannot be listed: " + error.message());
  }
  if (files.empty()) {
    return InvalidArgument("video " + folder.string() +
                           " has no frames: expected PNG, JPEG or WebP files, one a frame");
  }
  std::ranges::sort(files, [](const Path& a, const Path& b) {
    return StandsBefore(a.filename().string(), b.filename().string());
  });
  return files;
}

}  // namespace

std::vector<std::int64_t> SampleFrames(const Processor& processor, std::int64_t total,
                                       double frames_per_second) {
  const double wanted =
      static_cast<double>(total) / frames_per_second * processor.frames_per_second;
  auto count = static_cast<std::int64_t>(std::min(wanted, 1e9));
  count = std::min({std::max(count, processor.fewest_frames), processor.most_frames, total});
  if (!processor.limits_all_frames && count >= processor.temporal_patch) {
    count -= count % processor.temporal_patch;
  }
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < count; ++i) {
    // Qwen3-VL takes the first, the last and those between; the others the first of equal parts.
    const double at =
        processor.limits_all_frames
            ? std::nearbyint(static_cast<double>(i * (total - 1)) /
                             static_cast<double>(std::max<std::int64_t>(1, count - 1)))
            : std::floor(static_cast<double>(i * total) / static_cast<double>(count));
    numbers.push_back(static_cast<std::int64_t>(at));
  }
  return numbers;
}

Result<Video> ReadVideo(const Path& path, const Processor& processor,
                        std::optional<double> frames_per_second) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    return NotFound("video " + path.string() + " is not there");
  }
  if (!fs::is_directory(path, error)) {
    return ReadVideoFile(path, processor, frames_per_second);
  }
  TYLLM_ASSIGN(const std::vector<Path> files, FrameFiles(path));
  const double rate = frames_per_second.value_or(processor.frames_per_second);
  if (!(rate > 0 && rate <= 1000)) {
    return InvalidArgument("a video has " + std::to_string(rate) +
                           " frames a second, expected more than 0 and at most 1000");
  }
  std::vector<std::int64_t> numbers(files.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<std::int64_t>(i);
  }
  if (frames_per_second) {
    numbers = SampleFrames(processor, std::ssize(files), rate);
  } else if (std::ssize(files) > processor.most_frames) {
    return InvalidArgument("video " + path.string() + " has " + std::to_string(files.size()) +
                           " frames, expected at most " + std::to_string(processor.most_frames) +
                           "; say how many a second they are, so that some are chosen");
  }
  Video video;
  std::int64_t pixels = 0;
  for (const std::int64_t number : numbers) {
    TYLLM_ASSIGN(Image frame, ReadImage(files[static_cast<std::size_t>(number)]));
    pixels += frame.width * frame.height;
    if (pixels > kMostVideoPixels) {
      return InvalidArgument("video " + path.string() + " has more than " +
                             std::to_string(kMostVideoPixels) +
                             " pixels in all its frames; make it smaller or shorter");
    }
    video.frames.push_back(std::move(frame));
    video.seconds.push_back(static_cast<double>(number) / rate);
  }
  return video;
}

std::vector<double> GridSeconds(const Video& video, std::int64_t temporal_patch) {
  std::vector<double> seconds;
  const auto patch = static_cast<std::size_t>(temporal_patch);
  for (std::size_t first = 0; first < video.seconds.size(); first += patch) {
    const std::size_t last = std::min(first + patch, video.seconds.size()) - 1;
    seconds.push_back((video.seconds[first] + video.seconds[last]) / 2);
  }
  return seconds;
}

}  // namespace tyllm::vision
