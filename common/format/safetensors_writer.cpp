// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <utility>

#include "common/format/safetensors.h"

namespace tyllm::format {

struct SafetensorsWriter::State {
  struct Slot {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint64_t written = 0;
  };

  Path path;
  std::unique_ptr<OutputFile> file;
  std::map<std::string, Slot, std::less<>> slots;
};

namespace {

/// The length and the JSON, padded with spaces so that data begin at a multiple of 8.
std::string HeaderBytes(const std::vector<TensorSpec>& specs) {
  Json header = Json::object();
  header["__metadata__"] = Json{{"format", "pt"}};
  std::uint64_t offset = 0;
  for (const TensorSpec& spec : specs) {
    const std::uint64_t end = offset + spec.bytes();
    header[spec.name] = Json{{"dtype", kDTypeNames.Name(spec.dtype)},
                             {"shape", spec.shape},
                             {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = CompactJson(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}

SafetensorsWriter::SafetensorsWriter(SafetensorsWriter&&) noexcept = default;
SafetensorsWriter::~SafetensorsWriter() = default;

Result<SafetensorsWriter> SafetensorsWriter::Create(FileSystem& files, const Path& path,
                                                    std::vector<TensorSpec> specs) {
  auto state = std::make_unique<State>();
  state->path = path;
  const std::string header = HeaderBytes(specs);
  std::uint64_t offset = header.size();
  for (TensorSpec& spec : specs) {
    const std::uint64_t bytes = spec.bytes();
    const auto [slot, fresh] =
        state->slots.emplace(std::move(spec.name), State::Slot{offset, bytes});
    if (!fresh) {
      return InvalidArgument(path.string() + ": tensor '" + slot->first +
                             "' would be written twice; names must differ");
    }
    offset += bytes;
  }
  TYLLM_ASSIGN(state->file, files.Create(path));
  TYLLM_TRY(state->file->Append(header));
  return SafetensorsWriter(std::move(state));
}

Status SafetensorsWriter::Write(std::string_view name, std::span<const std::byte> bytes) {
  const auto slot = state_->slots.find(name);
  if (slot == state_->slots.end()) {
    return InvalidArgument(state_->path.string() + ": tensor '" + std::string(name) +
                           "' was not announced when the file was begun");
  }
  if (bytes.size() != slot->second.bytes) {
    return InvalidArgument(state_->path.string() + ": tensor '" + slot->first + "' has " +
                           std::to_string(bytes.size()) + " bytes, its spec says " +
                           std::to_string(slot->second.bytes));
  }
  return WritePart(name, 0, bytes);
}

Status SafetensorsWriter::WritePart(std::string_view name, std::uint64_t offset,
                                    std::span<const std::byte> bytes) {
  const auto slot = state_->slots.find(name);
  if (slot == state_->slots.end() || offset > slot->second.bytes ||
      bytes.size() > slot->second.bytes - offset) {
    return InvalidArgument(state_->path.string() + ": " + std::to_string(bytes.size()) +
                           " bytes at " + std::to_string(offset) + " of tensor '" +
                           std::string(name) + "' are beyond what was announced");
  }
  TYLLM_TRY(state_->file->WriteAt(slot->second.offset + offset, bytes));
  slot->second.written += bytes.size();
  return OkStatus();
}

Status SafetensorsWriter::Finish() {
  for (const auto& [name, slot] : state_->slots) {
    if (slot.written < slot.bytes) {
      return FailedPrecondition(state_->path.string() + ": tensor '" + name +
                                "' was announced but not written");
    }
  }
  TYLLM_TRY(state_->file->Sync());
  return state_->file->Close();
}

}  // namespace tyllm::format
