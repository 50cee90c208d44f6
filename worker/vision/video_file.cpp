// SPDX-License-Identifier: Apache-2.0
#include "worker/vision/video_file.h"

#include <string>

#include "common/base/plugin.h"
#include "worker/vision/video_plugin.h"

namespace tyllm::vision {

namespace {

constexpr const char* kFile = "libtyllm_video.so";
/// As common/domain/tools.h names them, of which this layer knows nothing.
constexpr const char* kMissingTool = "missing_tool";
constexpr const char* kTool = "video";

/// Loaded when a video file is read first: FFmpeg brings more than a hundred libraries, which no
/// other work should wait for.
const Result<const VideoPlugin*>& Plugin() {
  static const Result<const VideoPlugin*> plugin = []() -> Result<const VideoPlugin*> {
    const Path file = FindPlugin(kFile);
    if (file.empty()) {
      return Unavailable(std::string(kFile) +
                         " is neither beside the program nor in ../lib: it is built where "
                         "FFmpeg's libraries are found");
    }
    return LoadPlugin<VideoPlugin>(file, "tyllm_video_plugin", kVideoPluginAbi);
  }();
  return plugin;
}

}  // namespace

bool ReadsVideoFiles() {
  return Plugin().ok();
}

Result<Video> ReadVideoFile(const Path& path, const Processor& processor,
                            std::optional<double> frames_per_second) {
  if (!ReadsVideoFiles()) {
    const Status& why = Plugin().status();
    return Status(why.code(), "video " + path.string() + " is a file, and " + why.message() +
                                  "; or make a folder of frames with: ffmpeg -i FILE -vf fps=2 "
                                  "FOLDER/%05d.png")
        .With(kMissingTool, kTool);
  }
  return (*Plugin())->read(
      path, [&](std::int64_t frames, double rate) { return SampleFrames(processor, frames, rate); },
      frames_per_second);
}

}  // namespace tyllm::vision
