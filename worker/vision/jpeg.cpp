// SPDX-License-Identifier: Apache-2.0
// clang-format off
#include <cstdio>  // what jpeglib.h needs before it
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <csetjmp>
#include <string>

#include "worker/vision/decoders.h"

namespace tyllm::vision {

namespace {

/// A progressive file may ask for the whole image to be gone over this often.
constexpr int kMostScans = 200;
constexpr unsigned kExifMarker = JPEG_APP0 + 1;
constexpr std::string_view kExifBegin("Exif\0\0", 6);

/// The library's state, and where its errors end. Functions that it can leave by longjmp have no
/// objects with destructors.
struct Session {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf escape{};
  char message[JMSG_LENGTH_MAX] = "";
  bool created = false;

  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  ~Session() {
    if (created) {
      jpeg_destroy_decompress(&info);
    }
  }
};

Session& SessionOf(j_common_ptr info) {
  return *static_cast<Session*>(info->client_data);
}

[[noreturn]] void Fail(j_common_ptr info) {
  Session& session = SessionOf(info);
  session.errors.format_message(info, session.message);
  std::longjmp(session.escape, 1);
}

/// Where data are missing the library makes them up and warns. Its other warnings, as of bytes
/// between two markers, are of files that are whole.
void JudgeWarning(j_common_ptr info, int level) {
  if (level >= 0) {
    return;
  }
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      Fail(info);
    default:
      return;
  }
}

void CountScans(j_common_ptr info) {
  if (info->is_decompressor != FALSE &&
      reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMostScans) {
    Session& session = SessionOf(info);
    std::snprintf(session.message, sizeof(session.message), "it has more than %d scans",
                  kMostScans);
    std::longjmp(session.escape, 1);
  }
}

bool ReadHeader(Session& session, const std::uint8_t* bytes, std::size_t size) {
  session.info.err = jpeg_std_error(&session.errors);
  session.errors.error_exit = Fail;
  session.errors.emit_message = JudgeWarning;
  session.progress.progress_monitor = CountScans;
  session.info.client_data = &session;
  if (setjmp(session.escape) != 0) {
    return false;
  }
  jpeg_create_decompress(&session.info);
  session.created = true;
  session.info.client_data = &session;
  session.info.progress = &session.progress;
  jpeg_mem_src(&session.info, bytes, size);
  jpeg_save_markers(&session.info, static_cast<int>(kExifMarker), 0xFFFF);
  jpeg_read_header(&session.info, TRUE);
  session.info.out_color_space = JCS_RGB;
  return true;
}

/// `rgb` has room for the whole image.
bool ReadRows(Session& session, std::uint8_t* rgb) {
  if (setjmp(session.escape) != 0) {
    return false;
  }
  jpeg_start_decompress(&session.info);
  while (session.info.output_scanline < session.info.output_height) {
    JSAMPROW row = rgb + static_cast<std::size_t>(session.info.output_scanline) *
                             session.info.output_width * 3;
    jpeg_read_scanlines(&session.info, &row, 1);
  }
  jpeg_finish_decompress(&session.info);
  return true;
}

int OrientationOf(const Session& session) {
  for (jpeg_saved_marker_ptr marker = session.info.marker_list; marker != nullptr;
       marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (marker->marker == kExifMarker && data.starts_with(kExifBegin)) {
      return ExifOrientation(
          {marker->data + kExifBegin.size(), marker->data_length - kExifBegin.size()});
    }
  }
  return 1;
}

}  // namespace

Result<Image> DecodeJpeg(std::span<const std::uint8_t> bytes, std::string_view what) {
  Session session;
  const auto broken = [&] {
    return InvalidArgument(std::string(what) + " is no JPEG that can be read: " + session.message);
  };
  if (!ReadHeader(session, bytes.data(), bytes.size())) {
    return broken();
  }
  TYLLM_TRY(CheckSize(session.info.image_width, session.info.image_height, what));
  if (session.info.num_components != 1 && session.info.num_components != 3) {
    return Unimplemented(std::string(what) + " is a JPEG of " +
                         std::to_string(session.info.num_components) +
                         " colours (CMYK); save it as RGB");
  }
  Image image{session.info.image_width, session.info.image_height, {}};
  image.rgb.resize(static_cast<std::size_t>(image.width * image.height) * 3);
  const int orientation = OrientationOf(session);
  if (!ReadRows(session, image.rgb.data())) {
    return broken();
  }
  return Upright(std::move(image), orientation);
}

}  // namespace tyllm::vision
