// SPDX-License-Identifier: Apache-2.0
#include "common/format/image_pairs.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace tyllm::format {

namespace {

constexpr std::string_view kMarker = "<image>";

Status Wrong(std::string_view what, const std::string& why) {
  return InvalidArgument(std::string(what) + " " + why +
                         "; expected an image and its text, conversations, or messages "
                         "(docs/formats/calibration-images.md)");
}

Result<std::string> TextOf(const Json& json, std::string_view key, std::string_view what) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  if (found == json.end() || !found->is_string()) {
    return Wrong(what, "has no text '" + std::string(key) + "'");
  }
  return found->get<std::string>();
}

/// Inside `folder`: a calibration file must not make a worker read what is beside it.
Result<Path> ImagePath(const std::string& name, const Path& folder, std::string_view what) {
  const Path path = Path(name).lexically_normal();
  if (name.empty() || path.is_absolute() || *path.begin() == "..") {
    return InvalidArgument(std::string(what) + " names the image '" + name.substr(0, 120) +
                           "', expected a path within the folder of the calibration file");
  }
  return folder / path;
}

/// The images of key "image" or "images": one, several, or none.
Result<std::vector<Path>> ReadImages(const Json& json, const Path& folder, std::string_view what) {
  std::vector<Path> images;
  for (const char* const key : {"image", "images"}) {
    const auto found = json.find(key);
    if (found == json.end()) {
      continue;
    }
    const Json list = found->is_array() ? *found : Json::array({*found});
    for (const Json& name : list) {
      if (!name.is_string()) {
        return Wrong(what, std::string("has a key '") + key + "' that names no file");
      }
      TYLLM_ASSIGN(Path path, ImagePath(name.get<std::string>(), folder, what));
      images.push_back(std::move(path));
    }
  }
  return images;
}

/// `text` with an image at each marker; `used` counts them over all messages.
Result<std::vector<MessagePart>> SplitAtMarkers(const std::string& text,
                                                const std::vector<Path>& images, std::size_t& used,
                                                std::string_view what) {
  std::vector<MessagePart> parts;
  std::size_t at = 0;
  for (std::size_t marker = text.find(kMarker); marker != std::string::npos;
       marker = text.find(kMarker, at)) {
    if (used == images.size()) {
      return Wrong(
          what, "has more <image> markers than its " + std::to_string(images.size()) + " images");
    }
    if (marker > at) {
      parts.push_back({text.substr(at, marker - at), {}});
    }
    parts.push_back({"", images[used++]});
    at = marker + kMarker.size();
  }
  if (at < text.size()) {
    parts.push_back({text.substr(at), {}});
  }
  return parts;
}

Result<ImagePair> ReadCaption(const Json& json, std::vector<Path> images, std::string_view what) {
  PairMessage message;
  for (Path& image : images) {
    message.parts.push_back({"", std::move(image)});
  }
  TYLLM_ASSIGN(std::string text, TextOf(json, "text", what));
  message.parts.push_back({std::move(text), {}});
  return ImagePair{{std::move(message)}};
}

std::string RoleOf(const std::string& speaker) {
  return speaker == "human" ? "user" : speaker == "gpt" ? "assistant" : speaker;
}

Result<ImagePair> ReadConversations(const Json& list, const std::vector<Path>& images,
                                    std::string_view what) {
  ImagePair pair;
  std::size_t used = 0;
  for (const Json& turn : list) {
    TYLLM_ASSIGN(const std::string speaker, TextOf(turn, "from", what));
    TYLLM_ASSIGN(const std::string value, TextOf(turn, "value", what));
    PairMessage message{RoleOf(speaker), {}};
    TYLLM_ASSIGN(message.parts, SplitAtMarkers(value, images, used, what));
    pair.messages.push_back(std::move(message));
  }
  if (used != images.size()) {
    return Wrong(what, "has " + std::to_string(images.size()) + " images but " +
                           std::to_string(used) + " <image> markers");
  }
  return pair;
}

Result<MessagePart> ReadContentPart(const Json& part, const Path& folder, std::string_view what) {
  TYLLM_ASSIGN(const std::string type, TextOf(part, "type", what));
  MessagePart made;
  if (type == "text") {
    TYLLM_ASSIGN(made.text, TextOf(part, "text", what));
    return made;
  }
  if (type != "image") {
    return Wrong(what, "has content of type '" + type.substr(0, 40) + "'");
  }
  TYLLM_ASSIGN(const std::string name, TextOf(part, "image", what));
  TYLLM_ASSIGN(made.image, ImagePath(name, folder, what));
  return made;
}

Result<ImagePair> ReadMessages(const Json& list, const Path& folder, std::string_view what) {
  ImagePair pair;
  for (const Json& turn : list) {
    PairMessage message;
    TYLLM_ASSIGN(message.role, TextOf(turn, "role", what));
    const auto content = turn.find("content");
    if (content != turn.end() && content->is_string()) {
      message.parts.push_back({content->get<std::string>(), {}});
    } else if (content != turn.end() && content->is_array()) {
      for (const Json& part : *content) {
        TYLLM_ASSIGN(MessagePart made, ReadContentPart(part, folder, what));
        message.parts.push_back(std::move(made));
      }
    } else {
      return Wrong(what, "has a message without content");
    }
    pair.messages.push_back(std::move(message));
  }
  return pair;
}

/// Whether messages have an image among their parts.
bool HasImageParts(const Json& json) {
  const auto messages = json.find("messages");
  if (messages == json.end() || !messages->is_array()) {
    return false;
  }
  return std::ranges::any_of(*messages, [](const Json& message) {
    const auto content = message.is_object() ? message.find("content") : message.end();
    return content != message.end() && content->is_array() &&
           std::ranges::any_of(*content, [](const Json& part) {
             return part.is_object() && part.contains("image");
           });
  });
}

}  // namespace

std::vector<Path> ImagePair::Images() const {
  std::vector<Path> images;
  for (const PairMessage& message : messages) {
    for (const MessagePart& part : message.parts) {
      if (!part.image.empty()) {
        images.push_back(part.image);
      }
    }
  }
  return images;
}

Result<ImagePair> ReadImagePair(const Json& json, const Path& folder, std::string_view what) {
  if (!json.is_object()) {
    return Wrong(what, "is not an object");
  }
  TYLLM_ASSIGN(std::vector<Path> images, ReadImages(json, folder, what));
  const auto list_of = [&](const char* key) -> const Json* {
    const auto found = json.find(key);
    return found != json.end() && found->is_array() && !found->empty() ? &*found : nullptr;
  };
  if (const Json* const conversations = list_of("conversations")) {
    return ReadConversations(*conversations, images, what);
  }
  if (const Json* const messages = list_of("messages")) {
    return ReadMessages(*messages, folder, what);
  }
  return ReadCaption(json, std::move(images), what);
}

Result<std::vector<ImagePair>> ReadImagePairs(const Path& file, std::int64_t most) {
  auto content = LocalFileSystem().Read(file);
  if (!content.ok()) {
    return content.status().Annotate("calibration file");
  }
  std::vector<ImagePair> pairs;
  std::int64_t line = 0;
  for (std::size_t at = 0; at < content->size() && std::ssize(pairs) < most;) {
    const std::size_t end = std::min(content->find('\n', at), content->size());
    const std::string_view text = std::string_view(*content).substr(at, end - at);
    at = end + 1;
    ++line;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) {
      continue;
    }
    const std::string what = file.string() + ", line " + std::to_string(line);
    TYLLM_ASSIGN(const Json json, format::ParseJson(text, what));
    TYLLM_ASSIGN(ImagePair pair, ReadImagePair(json, file.parent_path(), what));
    pairs.push_back(std::move(pair));
  }
  if (pairs.empty()) {
    return InvalidArgument("calibration file " + file.string() +
                           " has no samples, expected one JSON object a line");
  }
  return pairs;
}

Result<std::optional<Path>> FindPairFile(const Path& source) {
  std::vector<Path> files{source};
  std::error_code error;
  if (std::filesystem::is_directory(source, error)) {
    files.clear();
    for (std::filesystem::directory_iterator it(source, error), end; !error && it != end;
         it.increment(error)) {
      files.push_back(it->path());
    }
  }
  std::erase_if(files, [](const Path& file) { return file.extension() != ".jsonl"; });
  if (files.size() != 1) {
    return std::optional<Path>();
  }
  std::ifstream lines(files.front());
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) {
      continue;
    }
    TYLLM_ASSIGN(const Json json, format::ParseJson(line, files.front().string() + ", line 1"));
    const bool names_image = json.is_object() && (json.contains("image") ||
                                                  json.contains("images") || HasImageParts(json));
    return names_image ? std::optional<Path>(files.front()) : std::nullopt;
  }
  return std::optional<Path>();
}

}  // namespace tyllm::format
