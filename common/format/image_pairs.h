// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_system.h"
#include "common/format/json.h"

namespace tyllm::format {

/// A piece of a message: text, or an image that stands there.
struct MessagePart {
  std::string text;
  Path image;  ///< empty for text
  bool operator==(const MessagePart&) const = default;
};

struct PairMessage {
  std::string role;  ///< "user", "assistant", "system"; empty: text that is no conversation
  std::vector<MessagePart> parts;
  bool operator==(const PairMessage&) const = default;
};

/// A calibration sample of images and text.
struct ImagePair {
  std::vector<PairMessage> messages;

  std::vector<Path> Images() const;
};

/// One line of a calibration file (docs/formats/calibration-images.md), in one of the forms
///   {"image": FILE, "text": TEXT}
///   {"image": FILE, "conversations": [{"from": "human", "value": "<image>\n..."}, ...]}
///   {"messages": [{"role": "user", "content": [{"type": "image", "image": FILE}, ...]}, ...]}
/// where "image" may be a list. Files are relative to `folder` and must lie in it. kInvalidArgument
/// names `what` and the key.
Result<ImagePair> ReadImagePair(const format::Json& json, const Path& folder,
                                std::string_view what);

/// All lines of a JSON-lines file, at most `most`. Images are not opened. Errors name the line.
Result<std::vector<ImagePair>> ReadImagePairs(const Path& file, std::int64_t most);

/// The file with image-text pairs that a calibration source is or, a folder, has at its top: a
/// ".jsonl" file whose first line names an image. Nothing: the source is text. Errors are those of
/// reading that line.
Result<std::optional<Path>> FindPairFile(const Path& source);

}  // namespace tyllm::format
