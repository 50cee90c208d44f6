// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "worker/vision/video.h"

namespace tyllm::vision {

/// Frames of a video file (MP4, Matroska, AVI, MPEG, Ogg, FLV), sampled as SampleFrames says. Its
/// own rate counts unless `frames_per_second` is given. Nothing but the file itself is opened,
/// whatever it refers to. kInvalidArgument for files that are no video, have no pictures or are too
/// large; kDataLoss for one that ends before its last frame; kUnimplemented where there is no
/// libtyllm_video.so, kFailedPrecondition where libraries that it needs are missing (ADR 0121).
Result<Video> ReadVideoFile(const Path& path, const Processor& processor,
                            std::optional<double> frames_per_second);

/// Whether they can be read here. The first call loads the plug-in. Threads: any.
bool ReadsVideoFiles();

}  // namespace tyllm::vision
