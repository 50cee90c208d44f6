// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/vision/preprocess.h"

// Any processor file is refused with a message, or says how to cut a small image.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tyllm;
  const auto json =
      format::ParseJson({reinterpret_cast<const char*>(data), size}, "preprocessor_config.json");
  if (!json.ok()) {
    return 0;
  }
  model::VisionShape shape;
  shape.patch = 14;
  for (const auto time : {model::VideoTime::kSeconds, model::VideoTime::kApart}) {
    shape.video_time = time;
    const auto processor = vision::ReadVideoProcessor(*json, shape, "preprocessor_config.json");
    if (!processor.ok()) {
      TYLLM_CHECK(!processor.status().message().empty());
      continue;
    }
    const auto chosen = vision::ProcessedSize(*processor, {70, 42});
    if (chosen.ok() && chosen->width * chosen->height <= 1 << 16) {
      const vision::Image image{70, 42, std::vector<std::uint8_t>(70 * 42 * 3, 9)};
      const auto made = vision::ProcessImage(*processor, image);
      TYLLM_CHECK(!made.ok() || made->values.rows() == made->grid.patches());
    }
  }
  return 0;
}
