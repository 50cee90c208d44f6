// SPDX-License-Identifier: Apache-2.0
#include "worker/vision/video_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>

#include "tests/support/temporary_directory.h"

#ifdef TYLLM_WITH_FFMPEG
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}
#endif

namespace tyllm::vision {
namespace {

constexpr Processor kProcessor{.frames_per_second = 2, .fewest_frames = 4, .most_frames = 12};

void WriteText(const Path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

TEST(VideoFile, WhatIsNoVideoIsRefusedByName) {
  const tyllm::testing::TemporaryDirectory folder;
  const Path path = folder / "film.mp4";
  WriteText(path, "these are no pictures");
  const Status status = ReadVideo(path, kProcessor, std::nullopt).status();
  EXPECT_EQ(status.code(),
            ReadsVideoFiles() ? StatusCode::kInvalidArgument : StatusCode::kUnimplemented)
      << status.ToString();
  EXPECT_NE(status.message().find("film.mp4"), std::string::npos) << status.message();
}

#ifdef TYLLM_WITH_FFMPEG

TEST(VideoFile, ThePluginIsThereWhereFfmpegIs) {
  EXPECT_TRUE(ReadsVideoFiles());
}

/// Writes a Matroska file of `count` frames of one colour each, without loss: frame i is
/// (10 i, 255 - 10 i, 7).
class Filming {
 public:
  static constexpr int kWidth = 32;
  static constexpr int kHeight = 16;

  Filming(const Path& path, int frames_per_second) {
    avformat_alloc_output_context2(&container_, nullptr, "matroska", path.c_str());
    const AVCodec* const codec = avcodec_find_encoder(AV_CODEC_ID_FFV1);
    stream_ = avformat_new_stream(container_, codec);
    encoder_ = avcodec_alloc_context3(codec);
    encoder_->width = kWidth;
    encoder_->height = kHeight;
    encoder_->pix_fmt = AV_PIX_FMT_BGR0;
    encoder_->time_base = {1, frames_per_second};
    encoder_->framerate = {frames_per_second, 1};
    stream_->time_base = encoder_->time_base;
    stream_->avg_frame_rate = encoder_->framerate;
    EXPECT_GE(avcodec_open2(encoder_, codec, nullptr), 0);
    avcodec_parameters_from_context(stream_->codecpar, encoder_);
    EXPECT_GE(avio_open(&container_->pb, path.c_str(), AVIO_FLAG_WRITE), 0);
    EXPECT_GE(avformat_write_header(container_, nullptr), 0);
    frame_ = av_frame_alloc();
    packet_ = av_packet_alloc();
    frame_->format = encoder_->pix_fmt;
    frame_->width = kWidth;
    frame_->height = kHeight;
    av_frame_get_buffer(frame_, 0);
  }

  Filming(const Filming&) = delete;
  Filming& operator=(const Filming&) = delete;

  ~Filming() {
    Encode(nullptr);
    av_write_trailer(container_);
    avio_closep(&container_->pb);
    av_frame_free(&frame_);
    av_packet_free(&packet_);
    avcodec_free_context(&encoder_);
    avformat_free_context(container_);
  }

  void Add(int number) {
    av_frame_make_writable(frame_);
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        std::uint8_t* const pixel = frame_->data[0] + y * frame_->linesize[0] + 4 * x;
        pixel[0] = 7;
        pixel[1] = static_cast<std::uint8_t>(255 - 10 * number);
        pixel[2] = static_cast<std::uint8_t>(10 * number);
        pixel[3] = 0;
      }
    }
    frame_->pts = number;
    Encode(frame_);
  }

 private:
  void Encode(const AVFrame* frame) {
    avcodec_send_frame(encoder_, frame);
    while (avcodec_receive_packet(encoder_, packet_) == 0) {
      av_packet_rescale_ts(packet_, encoder_->time_base, stream_->time_base);
      packet_->stream_index = 0;
      av_interleaved_write_frame(container_, packet_);
    }
  }

  AVFormatContext* container_ = nullptr;
  AVStream* stream_ = nullptr;
  AVCodecContext* encoder_ = nullptr;
  AVFrame* frame_ = nullptr;
  AVPacket* packet_ = nullptr;
};

void Film(const Path& path, int frames, int frames_per_second) {
  Filming filming(path, frames_per_second);
  for (int i = 0; i < frames; ++i) {
    filming.Add(i);
  }
}

TEST(VideoFile, FramesAreSampledAtTheFilesOwnRate) {
  const tyllm::testing::TemporaryDirectory folder;
  const Path path = folder / "film.mkv";
  Film(path, 20, 5);
  const auto video = ReadVideo(path, kProcessor, std::nullopt);
  ASSERT_TRUE(video.ok()) << video.status().ToString();
  ASSERT_EQ(video->frames.size(), 8U);  // 4 seconds, 2 a second
  for (std::size_t i = 0; i < 8; ++i) {
    const auto number = static_cast<std::uint8_t>(i * 20 / 8);
    const Image& frame = video->frames[i];
    EXPECT_EQ(frame.width, Filming::kWidth);
    EXPECT_EQ(frame.height, Filming::kHeight);
    EXPECT_EQ(frame.rgb[0], 10 * number) << i;
    EXPECT_EQ(frame.rgb[1], 255 - 10 * number) << i;
    EXPECT_EQ(frame.rgb[frame.rgb.size() - 1], 7) << i;
    EXPECT_DOUBLE_EQ(video->seconds[i], number / 5.0);
  }
}

TEST(VideoFile, AnotherRateMayBeSaid) {
  const tyllm::testing::TemporaryDirectory folder;
  Film(folder / "film.mkv", 20, 5);
  const auto video = ReadVideo(folder / "film.mkv", kProcessor, 10.0);
  ASSERT_TRUE(video.ok()) << video.status().ToString();
  EXPECT_EQ(video->frames.size(), 4U);
  EXPECT_DOUBLE_EQ(video->seconds[3], 1.5);
}

TEST(VideoFile, ACutFileIsAnErrorOrShorterAndNeverMore) {
  const tyllm::testing::TemporaryDirectory folder;
  Film(folder / "film.mkv", 20, 5);
  const auto whole = LocalFileSystem().Read(folder / "film.mkv");
  ASSERT_TRUE(whole.ok());
  for (std::size_t size = 0; size < whole->size(); size += whole->size() / 13) {
    WriteText(folder / "cut.mkv", std::string_view(*whole).substr(0, size));
    const auto video = ReadVideo(folder / "cut.mkv", kProcessor, std::nullopt);
    EXPECT_TRUE(!video.ok() || video->frames.size() <= 8U) << size;
  }
}

TEST(VideoFile, APlaylistOpensNothing) {
  const tyllm::testing::TemporaryDirectory folder;
  Film(folder / "film.mkv", 4, 2);
  WriteText(folder / "list.m3u8",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfilm.mkv\n"
            "#EXT-X-ENDLIST\n");
  EXPECT_EQ(ReadVideo(folder / "list.m3u8", kProcessor, std::nullopt).status().code(),
            StatusCode::kInvalidArgument);
}

#endif

}  // namespace
}  // namespace tyllm::vision
