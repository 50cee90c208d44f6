// SPDX-License-Identifier: Apache-2.0
// libtyllm_video.so: video files through FFmpeg's libraries. What worker/vision/video_file.cpp
// finds there.

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>

#include "common/base/mapped_file.h"
#include "worker/vision/video_plugin.h"

namespace tyllm::vision {

namespace {

/// Containers that are opened: none of them names other files.
constexpr const char* kFormats = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,flv";
constexpr std::int64_t kMostPackets = 10'000'000;
/// That FFmpeg reads at once.
constexpr int kBufferBytes = 1 << 16;

struct Closer {
  void operator()(AVFormatContext* context) const { ::avformat_close_input(&context); }

  void operator()(AVCodecContext* context) const { ::avcodec_free_context(&context); }

  void operator()(AVFrame* frame) const { ::av_frame_free(&frame); }

  void operator()(AVPacket* packet) const { ::av_packet_free(&packet); }

  void operator()(SwsContext* context) const { ::sws_freeContext(context); }

  void operator()(AVIOContext* context) const {
    ::av_freep(static_cast<void*>(&context->buffer));
    ::avio_context_free(&context);
  }
};

template <typename T>
using Owned = std::unique_ptr<T, Closer>;

std::string ErrorText(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  ::av_strerror(code, text.data(), text.size());
  return text.data();
}

Status NoVideo(const Path& path, const std::string& why) {
  return InvalidArgument("video " + path.string() + " cannot be read: " + why +
                         "; expected an MP4, Matroska, AVI, MPEG, Ogg or FLV file with pictures");
}

/// A file's bytes as FFmpeg reads them.
struct Source {
  MappedFile file;
  std::size_t position = 0;

  static int Read(void* opaque, std::uint8_t* out, int size) {
    auto& source = *static_cast<Source*>(opaque);
    const std::span<const std::byte> left = source.file.bytes().subspan(source.position);
    const std::size_t count = std::min<std::size_t>(static_cast<std::size_t>(size), left.size());
    if (count == 0) {
      return AVERROR_EOF;
    }
    std::memcpy(out, left.data(), count);
    source.position += count;
    return static_cast<int>(count);
  }

  static std::int64_t Seek(void* opaque, std::int64_t offset, int whence) {
    auto& source = *static_cast<Source*>(opaque);
    const auto size = static_cast<std::int64_t>(source.file.bytes().size());
    if ((whence & AVSEEK_SIZE) != 0) {
      return size;
    }
    const std::int64_t base = whence == SEEK_CUR   ? static_cast<std::int64_t>(source.position)
                              : whence == SEEK_END ? size
                                                   : 0;
    if (base + offset < 0 || base + offset > size) {
      return AVERROR(EINVAL);
    }
    source.position = static_cast<std::size_t>(base + offset);
    return base + offset;
  }
};

int RefuseToOpen(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EACCES);
}

/// A video file, opened at its best stream of pictures.
class Film {
 public:
  static Result<Film> Open(const Path& path) {
    TYLLM_ASSIGN(MappedFile file, MappedFile::Open(path));
    Film film;
    film.path_ = path;
    film.source_ = std::make_unique<Source>(Source{std::move(file)});
    TYLLM_TRY(film.OpenContainer());
    TYLLM_TRY(film.OpenDecoder());
    return film;
  }

  double frames_per_second() const {
    const AVRational rate =
        stream_->avg_frame_rate.num > 0 ? stream_->avg_frame_rate : stream_->r_frame_rate;
    return rate.den > 0 ? static_cast<double>(rate.num) / rate.den : 0.0;
  }

  /// Frames, by the packets that hold them: nothing is decoded.
  Result<std::int64_t> Count() {
    std::int64_t count = 0;
    while (::av_read_frame(container_.get(), packet_.get()) >= 0) {
      count += packet_->stream_index == stream_->index && packet_->size > 0 ? 1 : 0;
      ::av_packet_unref(packet_.get());
      if (count > kMostPackets) {
        return NoVideo(path_, "it has more than " + std::to_string(kMostPackets) + " frames");
      }
    }
    return count;
  }

  /// The next frame, nullptr after the last.
  Result<const AVFrame*> Next() {
    while (true) {
      const int received = ::avcodec_receive_frame(decoder_.get(), frame_.get());
      if (received == 0) {
        return frame_.get();
      }
      if (received == AVERROR_EOF) {
        return nullptr;
      }
      if (received != AVERROR(EAGAIN)) {
        return NoVideo(path_, "decoding failed: " + ErrorText(received));
      }
      TYLLM_TRY(Feed());
    }
  }

  Result<Image> Convert(const AVFrame& frame) {
    TYLLM_TRY(CheckSize(frame.width, frame.height, "a frame of " + path_.string()));
    scaler_.reset(::sws_getCachedContext(
        scaler_.release(), frame.width, frame.height, static_cast<AVPixelFormat>(frame.format),
        frame.width, frame.height, AV_PIX_FMT_RGB24,
        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr, nullptr, nullptr));
    if (!scaler_) {
      return NoVideo(path_, "its colours are of a kind that is not known");
    }
    Image image;
    image.width = frame.width;
    image.height = frame.height;
    image.rgb.resize(static_cast<std::size_t>(frame.width) *
                     static_cast<std::size_t>(frame.height) * 3);
    std::uint8_t* const rows[] = {image.rgb.data()};
    const int pitch[] = {frame.width * 3};
    ::sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height, rows, pitch);
    return image;
  }

 private:
  Status OpenContainer() {
    auto* const buffer = static_cast<std::uint8_t*>(::av_malloc(kBufferBytes));
    io_.reset(::avio_alloc_context(buffer, kBufferBytes, 0, source_.get(), Source::Read, nullptr,
                                   Source::Seek));
    AVFormatContext* context = ::avformat_alloc_context();
    context->pb = io_.get();
    context->io_open = RefuseToOpen;
    context->format_whitelist = ::av_strdup(kFormats);
    const int opened = ::avformat_open_input(&context, "", nullptr, nullptr);
    if (opened < 0) {  // the context is freed
      return NoVideo(path_, ErrorText(opened));
    }
    container_.reset(context);
    const int found = ::avformat_find_stream_info(context, nullptr);
    return found < 0 ? NoVideo(path_, ErrorText(found)) : OkStatus();
  }

  Status OpenDecoder() {
    const AVCodec* codec = nullptr;
    const int index =
        ::av_find_best_stream(container_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (index < 0 || codec == nullptr) {
      return NoVideo(path_, "it has no pictures that can be decoded");
    }
    stream_ = container_->streams[index];
    decoder_.reset(::avcodec_alloc_context3(codec));
    ::avcodec_parameters_to_context(decoder_.get(), stream_->codecpar);
    decoder_->max_pixels = kMostPixels;
    decoder_->thread_count = 1;
    const int opened = ::avcodec_open2(decoder_.get(), codec, nullptr);
    frame_.reset(::av_frame_alloc());
    packet_.reset(::av_packet_alloc());
    return opened < 0 ? NoVideo(path_, ErrorText(opened)) : OkStatus();
  }

  /// Gives the decoder the stream's next packet, or its end.
  Status Feed() {
    while (::av_read_frame(container_.get(), packet_.get()) >= 0) {
      const bool ours = packet_->stream_index == stream_->index;
      const int sent = ours ? ::avcodec_send_packet(decoder_.get(), packet_.get()) : 0;
      ::av_packet_unref(packet_.get());
      if (sent < 0 && sent != AVERROR_INVALIDDATA) {
        return NoVideo(path_, "decoding failed: " + ErrorText(sent));
      }
      if (ours) {
        return OkStatus();
      }
    }
    ::avcodec_send_packet(decoder_.get(), nullptr);
    return OkStatus();
  }

  Path path_;
  std::unique_ptr<Source> source_;
  Owned<AVIOContext> io_;
  Owned<AVFormatContext> container_;
  Owned<AVCodecContext> decoder_;
  Owned<AVFrame> frame_;
  Owned<AVPacket> packet_;
  Owned<SwsContext> scaler_;
  AVStream* stream_ = nullptr;  ///< of container_
};

/// The frames with these numbers, ascending.
Result<Video> Take(Film& film, const Path& path, const std::vector<std::int64_t>& numbers,
                   double rate) {
  Video video;
  std::int64_t pixels = 0;
  std::int64_t number = 0;
  for (const std::int64_t wanted : numbers) {
    const AVFrame* frame = nullptr;
    for (; number <= wanted; ++number) {
      TYLLM_ASSIGN(frame, film.Next());
      if (frame == nullptr) {
        return DataLoss("video " + path.string() + " ends after " + std::to_string(number) +
                        " frames, its container tells of " + std::to_string(numbers.back() + 1) +
                        " or more; copy it again");
      }
    }
    TYLLM_ASSIGN(Image image, film.Convert(*frame));
    pixels += image.width * image.height;
    if (pixels > kMostVideoPixels) {
      return InvalidArgument("video " + path.string() + " has more than " +
                             std::to_string(kMostVideoPixels) +
                             " pixels in the frames that are looked at; make it smaller");
    }
    video.frames.push_back(std::move(image));
    video.seconds.push_back(static_cast<double>(wanted) / rate);
  }
  return video;
}

Result<Video> ReadFrames(const Path& path, const ChooseFrames& choose,
                         std::optional<double> frames_per_second) {
  ::av_log_set_level(AV_LOG_QUIET);
  std::int64_t total = 0;
  {
    TYLLM_ASSIGN(Film film, Film::Open(path));
    TYLLM_ASSIGN(total, film.Count());
  }
  if (total == 0) {
    return NoVideo(path, "it has no frames");
  }
  TYLLM_ASSIGN(Film film, Film::Open(path));
  const double rate = frames_per_second.value_or(film.frames_per_second());
  if (!(rate > 0 && rate <= 1000)) {
    return InvalidArgument("video " + path.string() + " has " + std::to_string(rate) +
                           " frames a second, expected more than 0 and at most 1000; say how many "
                           "they are");
  }
  return Take(film, path, choose(total, rate), rate);
}

}  // namespace

}  // namespace tyllm::vision

extern "C" {
__attribute__((visibility("default"))) extern const tyllm::vision::VideoPlugin tyllm_video_plugin;
const tyllm::vision::VideoPlugin tyllm_video_plugin = {.abi = tyllm::vision::kVideoPluginAbi,
                                                       .read = tyllm::vision::ReadFrames};
}
